"""A difference as one HTML page: self-contained, no script, nothing asked of any network."""

from __future__ import annotations

from html import escape
from importlib import resources

from convarium.errors import times
from convarium.verify.diff_summary import Line, summary
from convarium.verify.diff_words import row_words, signed, told, unit_words
from convarium.verify.difference import Difference, DiffRow
from convarium.verify.unit import Side, Unit

_NAMED = 6  # layers that a card names before it counts the rest
_HERE = resources.files("convarium.verify")


def html_page(found: Difference) -> str:
    """The page of one difference, ready to be written to a file."""
    layers = len(found.differing)
    plural = "" if layers == 1 else "s"
    lines = summary(found)
    parts = {
        "style": (_HERE / "page.css").read_text("utf-8"),
        "names": f"{escape(found.a.name)} and {escape(found.b.name)}",
        "counts": _count(signed(found.params), "parameters", found.a.params, found.b.params)
        + _count(signed(found.macs), "MACs", found.a.macs, found.b.macs)
        + _tile(f"{layers:,}", f"row{plural} of {len(found.rows):,} that differ", _inputs(found)),
        "summary": "".join(map(_card, lines)) or "<p>No difference.</p>",
        "silent": "".join(f"<p>{escape(text)}</p>" for text in found.remarks),
        "layers": _layers(found, "What differs", found.differing, is_open=True)
        + _layers(found, "Every layer", list(found.rows), is_open=False),
    }
    page = (_HERE / "diff.html").read_text("utf-8")
    for key, part in parts.items():
        page = page.replace(f"<!--{key}-->", part)
    return page


def _count(number: str, what: str, a: int, b: int) -> str:
    return _tile(number, what, f"{a:,} and {b:,}")


def _tile(number: str, what: str, below: str) -> str:
    return f"<li><strong>{number}</strong> <b>{what}</b><span>{escape(below)}</span></li>"


def _inputs(found: Difference) -> str:
    sizes = [_input(side) for side in (found.a, found.b)]
    return f"both see {sizes[0]}" if sizes[0] == sizes[1] else f"they see {sizes[0]} and {sizes[1]}"


def _input(side: Side) -> str:
    return times(side.input) if side.input else "a size that is not said"


def _card(line: Line) -> str:
    names = line.names(_NAMED)
    behind = f'<p class="where">{line.behind}</p>' if line.behind else ""
    effect = told(line.params, line.macs)
    return (
        f"<article><h3>{escape(line.what)}</h3><p>{escape(effect)}</p>"
        f'<p class="where"><code>{escape(names)}</code></p>{behind}</article>'
    )


def _layers(found: Difference, title: str, rows: list[DiffRow], *, is_open: bool) -> str:
    body = "".join(map(_row, rows))
    heads = (escape(found.a.name), escape(found.b.name), "Difference", "Parameters", "MACs")
    return (
        f"<details{' open' if is_open else ''}><summary>{title} <span>{len(rows):,} rows</span>"
        f"</summary><table><thead><tr>{''.join(f'<th>{h}' for h in heads)}</tr></thead>"
        f"<tbody>{body}</tbody></table></details>"
    )


def _row(row: DiffRow) -> str:
    word = "" if row.status == "same" or row.only_follows else ' class="differs"'
    words = f"<td{word}>{escape(row_words(row))}"
    prices = f"<td>{_price(row.params)}<td>{_price(row.macs)}"
    return f"<tr>{_cell(row.a)}{_cell(row.b)}{words}{prices}</tr>"


def _cell(unit: Unit | None) -> str:
    if unit is None:
        return "<td>-"
    return f"<td><code>{escape(unit.name)}</code><br>{escape(unit_words(unit))}"


def _price(count: int) -> str:
    return signed(count) if count else ""
