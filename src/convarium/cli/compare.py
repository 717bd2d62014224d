"""`convarium compare`: records beside each other as table, CSV, chart and page. No torch here."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from convarium.cli.names import complete_record
from convarium.cli.output import AsJson, print_json, say
from convarium.cli.text import columns, short
from convarium.errors import UsageError, unknown_name
from convarium.files import exact, shown
from convarium.records import Record, overview, select
from convarium.records.overview import FIRST

NONE = "not available"


def _share(value: float | None, unit: str = "") -> str:
    return NONE if value is None else f"{100 * value:.1f}{unit}"


def _interval(record: Record) -> str:
    if record.top1_low is None or record.top1_high is None:
        return NONE
    return f"{_share(record.top1_low)} to {_share(record.top1_high)}"


def _count(value: float | None) -> str:
    return NONE if value is None else short(value)


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


# column: (its head, its text, what it sorts by, largest first)
_COLUMNS: dict[str, tuple[str, Callable[[Record], str], Callable[[Record], Any], bool]] = {
    "network": ("network", lambda r: r.model, lambda r: r.model, False),
    "data": ("data", lambda r: r.data or NONE, lambda r: r.data or None, False),
    "top1": ("top-1", lambda r: _share(r.top1, " %"), lambda r: r.top1, True),
    "interval": ("95 % interval", _interval, lambda r: r.top1_low, True),
    "params": ("params", lambda r: _count(r.params), lambda r: r.params, False),
    "macs": ("MACs", lambda r: _count(r.macs), lambda r: r.macs, False),
    "ms": ("ms", lambda r: _number(r.ms_batch1, 2), lambda r: r.ms_batch1, False),
    "mb": ("MB", lambda r: _number(r.megabytes, 2), lambda r: r.megabytes, False),
    "seconds": ("train s", lambda r: _number(r.train_seconds, 1), lambda r: r.train_seconds, False),
    "when": ("when", lambda r: r.at[:16].replace("T", " "), lambda r: r.at or None, True),
    "machine": ("machine", lambda r: r.machine or NONE, lambda r: r.machine or None, False),
    "run": ("run", lambda r: r.run, lambda r: r.run, False),
}
_SHOWN = tuple(name for name in _COLUMNS if name != "machine")


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]",
            help="Runs by id, or how it begins, RUN/NETWORK, a run's folder, or a network with "
            "* and ?; everything when left out.",
            autocompletion=complete_record,
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only records on this data set.")
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help=f"Sort by {', '.join(_COLUMNS)}, the best first; the newest first if left out.",
            autocompletion=lambda: list(_COLUMNS),
        ),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the table.")
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the bubble chart: against milliseconds, or MACs where none were timed.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with charts and table.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare what was run: accuracy with its Wilson interval, size, speed, when and where.

    \b
    Example: convarium compare --data digits --sort top1
    Example: convarium compare "resnet*" --html compare.html
    """
    if sort is not None and sort not in _COLUMNS:
        raise unknown_name("column", sort, _COLUMNS)
    records = _of_data(select(runs or [], overview(tell=say)), data)
    if svg is not None:
        _write_svg(svg, records)  # before the others: it may refuse
    records = _sorted(records, sort)
    if csv_file is not None:
        _write_csv(csv_file, records)
    if html is not None:
        asked = {"data": data, "sort": sort, "html": html}
        options = [f"--{name}={value}" for name, value in asked.items() if value is not None]
        _write_html(
            html, records, exact(shlex.join(["convarium", "compare", *(runs or []), *options]))
        )
    for path in (csv_file, svg, html):
        if path is not None:
            say(f"written: {shown(path)}")
    if as_json:
        print_json({"records": [{**asdict(one), "top1": one.top1} for one in records]})
    elif records:
        print(_table(records))
    else:
        say(f"there are no records yet. {FIRST}")


def _of_data(records: list[Record], data: str | None) -> list[Record]:
    if data is None or not records:
        return records
    found = [one for one in records if one.data == data]
    if not found:
        raise unknown_name("data set of these records", data, {one.data for one in records})
    return found


def _sorted(records: list[Record], sort: str | None) -> list[Record]:
    """By a column, the best first; those without a value last."""
    if sort is None:
        return records
    _, _, value, largest_first = _COLUMNS[sort]
    had = sorted((r for r in records if value(r) is not None), key=value, reverse=largest_first)
    return had + [one for one in records if value(one) is None]


def _table(records: list[Record]) -> str:
    rows = [tuple(_COLUMNS[name][1](one) for name in _SHOWN) for one in records]
    text = columns([_COLUMNS[name][0] for name in _SHOWN], rows, right="llrrrrrrr")
    machines = dict.fromkeys(one.machine or NONE for one in records)
    return f"{text}\n\nmachine{'' if len(machines) == 1 else 's'}: {'; '.join(machines)}"


def _write_csv(path: Path, records: Sequence[Record]) -> None:
    """Full numbers under the names that --json has; an empty cell is a value not available."""
    from convarium.files import written_whole

    names = (*Record.__dataclass_fields__, "top1")
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        lines = csv.writer(out)
        lines.writerow(names)
        lines.writerows([_cell(getattr(one, name)) for name in names] for one in records)


def _write_svg(path: Path, records: list[Record]) -> None:
    from convarium.files import written_whole
    from convarium.report.comparison import charts_of

    sets = sorted({one.data for one in records if one.top1 is not None})
    if len(sets) > 1:
        raise UsageError(
            f"the records are on {len(sets)} data sets ({', '.join(sets)}), and accuracies on "
            "different data cannot share a chart. Choose one with --data."
        )
    charts = charts_of(records)
    if not charts:
        raise UsageError("no record here has both an accuracy and a cost: no chart to write.")
    with written_whole(path) as temporary:
        temporary.write_text(charts[0].drawings[-1].svg_alone(), encoding="utf-8")


def _write_html(path: Path, records: list[Record], command: str) -> None:
    from convarium.files import written_whole
    from convarium.report.comparison import comparison_page

    heads = [head for head, *_ in _COLUMNS.values()]
    cells = [[(text(r), value(r)) for _, text, value, _ in _COLUMNS.values()] for r in records]
    page = comparison_page(records, heads, cells, command)
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _cell(value: Any) -> Any:
    """No text that a spreadsheet would take for a formula: names may be of another hand."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
