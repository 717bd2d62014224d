"""A report's rows as a reader wants them: by module, sorted, the first few. They still add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from convarium.cost.report import DERIVED, ROW_DERIVED, CostReport, CostRow
from convarium.errors import unknown_name

_SUMS = ("params", "macs", "macs_backward", "activation_bytes", "bytes_read", "bytes_written")
ROW_KEYS = (*(key for key in CostRow._fields if key != "inputs"), *ROW_DERIVED)
_NOT_A_CELL = ("rows", "unknown_ops")
REPORT_KEYS = (*(f.name for f in fields(CostReport) if f.name not in _NOT_A_CELL), *DERIVED)


@dataclass(frozen=True, slots=True)
class View:
    """What to show: rows joined below `depth` path parts, sorted by a column, the first `top`.

    `columns` are keys with commas between, "all", or None for the usual ones; text alone heeds it.
    """

    depth: int | None = None
    sort: str | None = None
    top: int | None = None
    columns: str | None = None

    def check(self, *, several: bool) -> None:
        """Refuses a column that rows, or networks where there are several, do not have.

        Raises:
            UsageError: names the closest columns.
        """
        known = REPORT_KEYS if several else ROW_KEYS
        if self.sort is not None and self.sort not in known:
            raise unknown_name("column", self.sort, known)

    def of(self, report: CostReport) -> CostReport:
        """The report with these rows; its totals stay, and the rows still sum to them."""
        rows = grouped(report.rows, self.depth) if self.depth else report.rows
        if self.sort is not None:
            rows = reordered(rows, sorted(range(len(rows)), key=_key(rows, self.sort)))
        if self.top is not None and len(rows) > self.top:
            rest = rows[self.top :]
            shown = [row._replace(inputs=()) for row in rows[: self.top]]
            rows = (*shown, _joined(f"({len(rest)} more rows)", rest, ()))
        return replace(report, rows=rows)

    def of_all(self, reports: list[CostReport]) -> list[CostReport]:
        """The networks in the order of the column, the first `top` of them."""
        if self.sort is not None:
            order = sorted(range(len(reports)), key=_key(reports, self.sort))
            reports = [reports[at] for at in order]
        return reports[: self.top]


def grouped(rows: Iterable[CostRow], depth: int) -> tuple[CostRow, ...]:
    """One row a module at most `depth` path parts deep, in the order of its first call.

    Counts and bytes are sums; shape and receptive field are the last row's.
    """
    rows = list(rows)
    groups: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        groups.setdefault(path_of(row.name, depth), []).append(at)
    home = {at: number for number, places in enumerate(groups.values()) for at in places}
    joined = []
    for number, (path, places) in enumerate(groups.items()):
        members = [rows[at] for at in places]
        feeds = dict.fromkeys(home[at] for row in members for at in row.inputs)
        feeds.pop(number, None)
        joined.append(_joined(path, members, tuple(feeds)))
    return tuple(joined)


def path_of(name: str, depth: int) -> str:
    """The first `depth` parts of a module's path.

    >>> path_of("layer1.0.conv1", 2)
    'layer1.0'
    """
    return ".".join(name.split(".")[:depth])


def reordered(rows: tuple[CostRow, ...], order: list[int]) -> tuple[CostRow, ...]:
    """The rows in another order; their inputs point to the same rows as before."""
    place = {old: new for new, old in enumerate(order)}
    moved = (rows[old] for old in order)
    return tuple(row._replace(inputs=tuple(place[at] for at in row.inputs)) for row in moved)


def _joined(name: str, members: Iterable[CostRow], inputs: tuple[int, ...]) -> CostRow:
    members = list(members)
    if len(members) == 1 and members[0].name == name:
        return members[0]._replace(inputs=inputs)
    sums = {key: sum(getattr(row, key) for row in members) for key in _SUMS}
    kept = [row.kept_bytes for row in members if row.kept_bytes is not None]
    sums["kept_bytes"] = sum(kept) if kept else None
    return members[-1]._replace(name=name, kind=f"{len(members)} rows", inputs=inputs, **sums)


def _key(items: Any, column: str) -> Callable[[int], Any]:
    """Sorts numbers downwards and words upwards; None comes last, ties keep their order."""

    def key(at: int) -> Any:
        value = getattr(items[at], column)
        if isinstance(value, str):
            return (0, value)
        if isinstance(value, tuple):
            return (0, tuple(-side for side in value))
        return (1, 0) if value is None else (0, -value)

    return key
