"""`convarium diff`: two networks side by side, layer by layer, and what each difference costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convarium import api
from convarium.cli.cost import parse_size
from convarium.cli.names import complete
from convarium.cli.output import AsJson, print_json
from convarium.cli.text import bold, paragraph

if TYPE_CHECKING:
    from rich.table import Table

    from convarium.verify.difference import Difference, DiffRow
    from convarium.verify.unit import Unit

_WIDTH_OF_A_FILE = 140  # columns of a table that goes to no terminal
_WHAT = "A network or alias, torchvision:NAME, timm:NAME, or a layer table FILE.json."


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help=_WHAT, autocompletion=complete)],
    b: Annotated[str, typer.Argument(metavar="B", help="Likewise.", autocompletion=complete)],
    all_: Annotated[
        bool, typer.Option("--all", help="Every layer, also those that are the same.")
    ] = False,
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="CxHxW",
            help="Channels, height, width in pixels for both; each one's native size if left out.",
        ),
    ] = None,
    init: Annotated[
        bool, typer.Option("--init", help="Build both and compare the initial values too.")
    ] = False,
    as_json: AsJson = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one page to FILE.")
    ] = None,
) -> None:
    """Tell two networks apart, layer by layer, and what each difference costs.

    Layers are aligned by what they are, not by name. Differences are those of B less those of A;
    the rows sum exactly to the totals.

    \b
    Example: convarium diff googlenet torchvision:googlenet
    Example: convarium diff resnet50 resnet50_v1_5 --html resnet50.html
    """
    size = None if input_size is None else parse_size(input_size)
    found = api.diff(a, b, input_size=size, first_values=init)
    if html is not None:
        _write_page(found, html)
    if as_json:
        from convarium.verify.diff_summary import as_dict

        print_json(as_dict(found))
    else:
        _print_text(found, every=all_)


def _write_page(found: Difference, path: Path) -> None:
    from convarium.files import written_whole
    from convarium.verify.diff_page import html_page

    with written_whole(path) as temporary:
        temporary.write_text(html_page(found), "utf-8")


def _print_text(found: Difference, *, every: bool) -> None:
    from rich.console import Console

    from convarium.verify.diff_summary import summary, total

    print(f"{bold(total(found))}\n")
    for line in summary(found):
        print(paragraph(str(line)))
    for text in found.remarks:
        print(paragraph(text))
    rows = found.rows if every else found.differing
    if rows:
        print(flush=True)
        width = None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
        Console(file=sys.stdout, width=width, highlight=False, markup=False).print(
            _table(found, rows)
        )


def _table(found: Difference, rows: tuple[DiffRow, ...] | list[DiffRow]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from convarium.verify.diff_words import row_words, signed

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in (found.a.name, found.b.name, "difference"):
        table.add_column(head, overflow="fold")
    for head in ("parameters", "MACs"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        prices = [signed(count) if count else "" for count in (row.params, row.macs)]
        faint = "dim" if row.status == "same" or row.only_follows else None
        table.add_row(_cell(row.a), _cell(row.b), row_words(row), *prices, style=faint)
    return table


def _cell(unit: Unit | None) -> str:
    from convarium.verify.diff_words import unit_words

    return "-" if unit is None else f"{unit.name}\n{unit_words(unit)}"
