"""Cost reports as the text of each `--format`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convarium.cli.output import json_text
from convarium.cli.text import columns
from convarium.cost.columns import chosen, several, totals
from convarium.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from convarium.cost.listing import View
    from convarium.cost.report import CostReport

FORMATS = ("table", "json", "csv", "markdown", "svg", "html")
_ENDINGS = {".md": "markdown", ".htm": "html", ".txt": "table"} | {f".{f}": f for f in FORMATS}


def format_of(form: str | None, out: Path | None, *, as_json: bool) -> str:
    """The format that the options ask for.

    Raises:
        UsageError: there is no such format, or two are asked for.
    """
    if form is not None and form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} ask for two formats. Give one of them.")
    if form is None and out is not None and not as_json:
        return _ENDINGS.get(out.suffix.lower(), "table")
    return "json" if as_json else form or "table"


def refuse_unheeded(view: View, form: str, *, several: bool) -> None:
    """Options that would change nothing of what is written are a mistake.

    Raises:
        UsageError: names the first, and what it goes with.
    """
    picture, text = form in ("svg", "html"), form in ("table", "markdown")
    given = {
        "--sort": (view.sort, not picture, "goes with rows, which --format table and others have"),
        "--top": (view.top, not picture, "goes with rows, which --format table and others have"),
        "--columns": (view.columns, text and not several, "goes with the text of one network"),
        "--depth": (view.depth, form == "html" or not several, "goes with one network, or html"),
    }
    for option, (value, heeded, rule) in given.items():
        if value is not None and not heeded:
            raise UsageError(f"{option} {value} {rule}.")


def written(reports: list[CostReport], view: View, form: str) -> str:
    """The whole output, the last line ended.

    Args:
        reports: with all their rows.
        view: which rows to show, in which order; a picture takes its depth alone.
        form: one of FORMATS.
    """
    if form in ("svg", "html"):
        return _drawn(reports, view, form)
    single = len(reports) == 1
    shown = [view.of(reports[0])] if single else view.of_all(reports)
    if form == "json":
        dicts = [report.to_dict() for report in shown]
        return json_text(dicts[0] if single else {"models": dicts})
    if form == "csv":
        from convarium.cost.formats import as_csv

        return as_csv(shown)
    return _tables(shown, view, single=single, markdown=form == "markdown")


def _drawn(reports: list[CostReport], view: View, form: str) -> str:
    if form == "html":
        from convarium.report.cost_page import cost_page

        return cost_page(reports, view.depth)
    if len(reports) > 1:
        raise UsageError("--format svg draws one network. Take html for several.")
    from convarium.report.diagram import diagram

    return diagram(reports[0], view.depth)


def _tables(reports: list[CostReport], view: View, *, single: bool, markdown: bool) -> str:
    """The rows of a single network, then its totals; of several the totals side by side."""
    if single:
        cells = [["network", reports[0].name], *map(list, totals(reports[0]))]
        tables = [_rows(reports[0], view.columns), (["total", ""], cells, "ll")]
    else:
        tables = [several(reports)]
    if not markdown:
        return "\n\n".join(columns(*table[:2], right=table[2]) for table in tables) + "\n"
    from convarium.cost.formats import as_markdown

    return "\n".join(as_markdown(*table) for table in tables)


Table = tuple[Sequence[str], Sequence[Sequence[str]], str]


def _rows(report: CostReport, words: str | None) -> Table:
    shown = chosen(words, report)
    rows = [[column.cell(row) for column in shown] for row in report.rows]
    return [column.title for column in shown], rows, "".join(column.side for column in shown)
