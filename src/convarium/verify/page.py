"""All verdicts as one HTML page: self-contained, no script, nothing asked of any network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from itertools import groupby

from convarium import catalog
from convarium.facts import Conflict
from convarium.verify.engine import summary
from convarium.verify.verdict import Verdict, number

_HERE = resources.files("convarium.verify")
_WORDS = ("AGREES", "DIFFERS", "SILENT")
_EACH = {
    "AGREES": "our network counts what is printed",
    "DIFFERS": "it does not, and this says why",
    "SILENT": "nothing is printed to compare with",
}


def html_page(verdicts: Sequence[Verdict], conflicts: Sequence[Conflict]) -> str:
    """The page of these verdicts and of the ledger's conflicts, ready to be written to a file."""
    found = summary(verdicts)
    differ = [v for v in verdicts if v.verdict == "DIFFERS"]
    parts = {
        "style": (_HERE / "page.css").read_text("utf-8"),
        "counts": "".join(_count(word, found[word.lower()]) for word in _WORDS),
        "differs": "".join(_difference(v) for v in sorted(differ, key=_unexplained_first)),
        "conflicts": "".join(_conflict(c) for c in conflicts),
        "networks": "".join(_network(name, list(of)) for name, of in groupby(verdicts, _model)),
    }
    page = (_HERE / "page.html").read_text("utf-8")
    for key, part in parts.items():
        page = page.replace(f"<!--{key}-->", part)
    return page


def _model(verdict: Verdict) -> str:
    return verdict.model


def _unexplained_first(verdict: Verdict) -> bool:
    return not verdict.is_unexplained


def _count(word: str, found: int) -> str:
    return (
        f'<li class="{word.lower()}"><strong>{found:,}</strong> <b>{word}</b>'
        f"<span>{_EACH[word]}</span></li>"
    )


def _difference(v: Verdict) -> str:
    reason = escape(v.reason) if v.reason else "<em>no reason is known: this is an error</em>"
    return (
        f'<article><h3><code>{escape(v.model)}</code> {escape(v.fact)}</h3><p class="pair">'
        f"<span>printed <b>{escape(v.printed or '-')}</b></span>"
        f"<span>ours <b>{escape(number(v.ours))}</b></span></p>"
        f'<p>{reason}</p><p class="where">{escape(v.where)}{_mark(v)}</p></article>'
    )


def _conflict(c: Conflict) -> str:
    cells = "".join(f"<dd><i>{k}</i> {escape(t)}</dd>" for k, t in _sides(c))
    return f"<dt>{escape(c.where)} <code>{escape(c.id)}</code></dt>{cells}"


def _sides(c: Conflict) -> Iterable[tuple[str, str]]:
    return (("printed", c.printed), ("counted", c.counted))


def _network(name: str, verdicts: list[Verdict]) -> str:
    found = summary(verdicts)
    tally = ", ".join(f"{n:,} {word}" for word, n in found.items() if n)
    family = catalog.find(name).family
    agreeing = [v for v in verdicts if v.is_row and v.verdict == "AGREES"]
    rows = "".join(_row(v) for v in verdicts if not (v.is_row and v.verdict == "AGREES"))
    rows += _agreeing_rows(agreeing) if agreeing else ""
    return (
        f"<details><summary><code>{escape(name)}</code> <i>{escape(family)}</i> "
        f"<span>{tally}</span></summary><table><thead><tr><th>Fact<th>Printed<th>Ours<th>Verdict"
        f"<th>Where</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _agreeing_rows(verdicts: list[Verdict]) -> str:
    """The rows of a table that agree, as one: what they say is the same on both sides."""
    words = f"{len(verdicts):,} rows of the table"
    return (
        f'<tr><td>rows<td>{words}<td>the same<td class="agrees">AGREES<td>'
        f"{escape(verdicts[0].where)}</tr>"
    )


def _row(v: Verdict) -> str:
    cells = (v.fact, v.printed or "-", number(v.ours))
    plain = "".join(f"<td>{escape(cell)}" for cell in cells)
    word = f'<td class="{v.verdict.lower()}">{v.verdict}'
    return f"<tr>{plain}{word}<td>{escape(v.where)}{_mark(v)}</tr>"


def _mark(v: Verdict) -> str:
    return ' <mark title="recalled, not read">from memory</mark>' if v.is_recalled else ""
