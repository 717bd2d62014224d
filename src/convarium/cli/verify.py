"""`convarium verify`: holds networks against every number and row that their papers print."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convarium import api, catalog, facts
from convarium.cli.names import complete
from convarium.cli.output import AsJson, print_json
from convarium.cli.text import bold, columns, paragraph
from convarium.errors import UsageError, counted

if TYPE_CHECKING:
    from convarium.verify.verdict import Verdict

_ALL_AGREE, _A_CHECK_SAYS_NO = 0, 1


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Networks or aliases.", autocompletion=complete),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every network of the catalog.")] = False,
    as_json: AsJson = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one page to FILE.")
    ] = None,
) -> int:
    """Hold networks against every number and layer that their papers print.

    AGREES within half of the last printed digit, DIFFERS with the reason, SILENT where nothing is
    printed. Ends with 1 when some difference has no reason.

    \b
    Example: convarium verify googlenet vgg16
    Example: convarium verify --all --html verdicts.html
    """
    return run(names or [], all_=all_, json_=as_json, html=html)


def run(names: list[str], *, all_: bool, json_: bool, html: Path | None) -> int:
    """Judges, writes and prints; gives the exit code.

    Raises:
        UsageError: an unknown name, or neither names nor --all.
    """
    if not names and not all_:
        raise UsageError("verify needs a network's name, or --all for every one.")
    found = [*catalog.CATALOG] if all_ else [catalog.find(name).name for name in names]
    verdicts = [v for name in dict.fromkeys(found) for v in api.verify(name)]
    if html is not None:
        _write_page(verdicts, html)
    if json_:
        _print_json(verdicts)
    else:
        _print_text(verdicts, by_family=all_)
    return _A_CHECK_SAYS_NO if any(v.is_unexplained for v in verdicts) else _ALL_AGREE


def _write_page(verdicts: list[Verdict], path: Path) -> None:
    from convarium.files import written_whole
    from convarium.verify.page import html_page

    with written_whole(path) as temporary:
        temporary.write_text(html_page(verdicts, facts.conflicts()), "utf-8")


def _print_json(verdicts: list[Verdict]) -> None:
    from dataclasses import asdict

    from convarium.verify.engine import summary

    print_json(
        {
            "verdicts": [v.to_dict() for v in verdicts],
            "conflicts": [asdict(c) for c in facts.conflicts()],
            "summary": summary(verdicts),
        }
    )


def _print_text(verdicts: list[Verdict], *, by_family: bool) -> None:
    from convarium.verify.engine import summary

    found = summary(verdicts)
    networks = len({v.model for v in verdicts})
    counts = f"{found['agrees']:,} agree, {found['differs']:,} differ, {found['silent']:,} silent"
    print(bold(f"{counted(networks, 'network')}: {counts}"))
    differ = sorted((v for v in verdicts if v.verdict == "DIFFERS"), key=_unexplained_first)
    if differ:
        print(f"\n{bold('Where they differ, and why')}")
    for verdict in differ:
        print(_difference(verdict))
    print(f"\n{_families(verdicts) if by_family else _facts(verdicts)}")
    print(f"\n{bold('Conflicts in print, of all papers')}")
    for conflict in facts.conflicts():
        print(paragraph(f"{conflict.id}: {conflict.printed} | counted: {conflict.counted}"))


def _unexplained_first(verdict: Verdict) -> tuple[bool, str]:
    return not verdict.is_unexplained, verdict.model


def _difference(v: Verdict) -> str:
    from convarium.verify.verdict import number

    head = f"{v.model}: {v.fact}: printed {v.printed or '-'}, ours {number(v.ours)}"
    where = f"{v.where}{', from memory' if v.is_recalled else ''}"
    why = v.reason or "NO REASON IS KNOWN: an error of the network or of the fact"
    return f"{paragraph(head)}\n{paragraph(f'{why} ({where})', indent=6, hang=0)}"


def _families(verdicts: list[Verdict]) -> str:
    """One line a family."""
    from convarium.verify.engine import summary

    rows = []
    for family, group in groupby(verdicts, lambda v: catalog.find(v.model).family):
        of = list(group)
        tally = [f"{count:,}" for count in summary(of).values()]
        rows.append([family, str(len({v.model for v in of})), *tally])
    return columns(["family", "networks", "agree", "differ", "silent"], rows, right=" rrrr")


def _facts(verdicts: list[Verdict]) -> str:
    """One line a fact; the rows of tables that agree are summed up in one."""
    from convarium.verify.verdict import number

    rows = []
    for model, group in groupby(verdicts, lambda v: v.model):
        of = list(group)
        layers = [v for v in of if v.is_row]
        agreeing = sum(v.verdict == "AGREES" for v in layers)
        for v in (v for v in of if not v.is_row):
            mark = " (memory)" if v.is_recalled else ""
            rows.append(
                [model, v.fact, v.printed or "-", number(v.ours), v.verdict, v.where + mark]
            )
        if layers:
            ours = f"{agreeing} of {len(layers)}"
            word = "AGREES" if agreeing == len(layers) else "DIFFERS"
            rows.append([model, "rows of the table", str(len(layers)), ours, word, layers[0].where])
    header = ["network", "fact", "printed", "ours", "verdict", "where"]
    return columns(header, rows)
