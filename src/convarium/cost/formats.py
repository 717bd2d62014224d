"""Reports as CSV, Markdown and plain cells. JSON is `CostReport.to_dict`; see cost.schema.json."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from convarium.cost.listing import REPORT_KEYS, ROW_KEYS
from convarium.cost.report import CostReport
from convarium.files import printable

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # how OWASP's list of them begins


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `convarium cost --json` prints."""
    text = (resources.files("convarium.cost") / "cost.schema.json").read_text("utf-8")
    return dict(json.loads(text))


def as_csv(reports: Sequence[CostReport]) -> str:
    """The rows of one report, or one line a report where there are several. Numbers are exact."""
    return csv_of(*_lines(reports))


def csv_of(keys: Sequence[str], items: Sequence[Any]) -> str:
    """A line an item with these attributes, below a line of their names.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(keys)
    for item in items:
        writer.writerow([_exact(getattr(item, key)) for key in keys])
    return out.getvalue()


def as_markdown(header: Sequence[str], rows: Sequence[Sequence[str]], right: str) -> str:
    """A table of GitHub's Markdown.

    Args:
        header: names of the columns.
        rows: the cells.
        right: a letter a column, "r" for one that is aligned right.
    """
    rules = ["--:" if right[at : at + 1] == "r" else ":--" for at in range(len(header))]
    lines = [header, rules, *([_escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _lines(reports: Sequence[CostReport]) -> tuple[tuple[str, ...], Sequence[Any]]:
    if len(reports) == 1:
        return ROW_KEYS, reports[0].rows
    return (*REPORT_KEYS, "unknown_ops"), reports


def _exact(value: Any) -> str:
    if isinstance(value, tuple):
        return ("x" if value and isinstance(value[0], int) else " ").join(map(str, value))
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULAS) else value
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _escaped(cell: str) -> str:
    """One line, no mark of Markdown's own that could end the cell, and no HTML."""
    plain = printable(cell).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|`\[\]*])", r"\\\1", plain)
