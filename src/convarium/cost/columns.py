"""What is shown of a cost report: columns of its rows, totals, numbers in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from convarium.cost.words import megabytes, shape, short
from convarium.errors import unknown_name
from convarium.files import printable

if TYPE_CHECKING:
    from convarium.cost.report import CostReport, CostRow

ALL = "all"


class Column(NamedTuple):
    """`side` is "r" for numbers, "l" for words."""

    title: str
    side: str
    cell: Callable[[Any], str]


def count(value: int | None) -> str:
    """With commas; nothing for 0, which most rows have."""
    return f"{value:,}" if value else ""


def field(row: CostRow) -> str:
    """ "7 to 15" where branches that see different squares are joined."""
    if row.receptive_field is None:
        return "all"
    least, most = row.receptive_field_min, row.receptive_field
    return str(most) if least == most else f"{least} to {most}"


def pixels(value: float | None) -> str:
    """Without zeros behind the point; nothing where it is not known."""
    return "" if value is None else f"{value:g}"


# By the key of --json; the same keys sort the rows.
COLUMNS: dict[str, Column] = {
    "name": Column("layer", "l", lambda row: printable(row.name)),
    "kind": Column("kind", "l", lambda row: row.kind),
    "output_shape": Column("output", "l", lambda row: shape(row.output_shape)),
    "params": Column("params", "r", lambda row: count(row.params)),
    "macs": Column("MACs", "r", lambda row: count(row.macs)),
    "macs_backward": Column("MACs backward", "r", lambda row: count(row.macs_backward)),
    "flops": Column("FLOPs", "r", lambda row: count(row.flops)),
    "flops_backward": Column("FLOPs backward", "r", lambda row: count(row.flops_backward)),
    "bytes_read": Column("read", "r", lambda row: megabytes(row.bytes_read)),
    "bytes_written": Column("written", "r", lambda row: megabytes(row.bytes_written)),
    "intensity": Column("FLOPs/byte", "r", lambda row: f"{row.intensity:.1f}" if row.macs else ""),
    "activation_bytes": Column("activation", "r", lambda row: megabytes(row.activation_bytes)),
    "kept_bytes": Column("kept", "r", lambda row: megabytes(row.kept_bytes)),
    "receptive_field": Column("field", "r", field),
    "receptive_field_min": Column("least field", "r", lambda row: pixels(row.receptive_field_min)),
    "rf_stride": Column("field stride", "r", lambda row: pixels(row.rf_stride)),
    "rf_offset": Column("field offset", "r", lambda row: pixels(row.rf_offset)),
}


def chosen(words: str | None, report: CostReport) -> list[Column]:
    """The columns that `--columns` names, or those that a reader wants first.

    Raises:
        UsageError: there is no such column.
    """
    if words is None:
        return _first(report)
    keys = list(COLUMNS) if words == ALL else [word.strip() for word in words.split(",")]
    for key in keys:
        if key not in COLUMNS:
            raise unknown_name("column", key, [*COLUMNS, ALL])
    return [COLUMNS[key] for key in dict.fromkeys(["name", *keys])]


def _first(report: CostReport) -> list[Column]:
    training = report.macs_backward > 0
    whole = report.macs

    def share(row: CostRow) -> str:
        return f"{100 * row.macs / whole:.1f}" if row.macs else ""

    def moved(row: CostRow) -> str:
        return megabytes(row.bytes_read + row.bytes_written)

    found = [COLUMNS[key] for key in ("name", "kind", "output_shape", "params", "macs")]
    if training:
        found += [COLUMNS[key] for key in ("macs_backward", "kept_bytes")]
    found += [Column("% MACs", "r", share), Column("moved", "r", moved)]
    found += [COLUMNS[key] for key in ("intensity", "activation_bytes", "receptive_field")]
    return found


def totals(report: CostReport) -> list[tuple[str, str]]:
    """What a reader wants of a whole network: (title, text)."""
    training = report.macs_backward > 0 or report.training_peak_bytes is not None
    cells = [
        ("input", shape((report.batch_size, *report.input_size))),
        ("params", f"{report.params:,}"),
        ("as float32", megabytes(4 * report.params)),
        ("MACs", f"{report.macs:,}"),
        ("FLOPs", short(report.flops)),
    ]
    if training:
        cells.append(("MACs backward", f"{report.macs_backward:,}"))
    cells += [
        ("read", megabytes(report.bytes_read)),
        ("written", megabytes(report.bytes_written)),
        ("FLOPs/byte", f"{report.arithmetic_intensity:.1f}"),
        ("activations", megabytes(report.activation_bytes)),
    ]
    if training:
        cells.append((f"kept for backward, {report.precision}", megabytes(report.kept_bytes)))
    return [*cells, *_peaks(report), ("count", status(report))]


def _peaks(report: CostReport) -> list[tuple[str, str]]:
    if report.peak_note is not None:
        return [("peak memory", f"not available: {report.peak_note}")]
    cells = []
    if report.inference_peak_bytes is not None:
        cells.append((f"peak, inference, {report.precision}", report.inference_peak_bytes))
    if report.training_peak_bytes is not None:
        words = f"peak, training, {report.optimizer}, {report.precision}"
        cells.append((words, report.training_peak_bytes))
    return [(title, megabytes(value)) for title, value in cells]


def status(report: CostReport) -> str:
    """How far the count can be trusted, and on what it was traced."""
    on = "" if report.traced_on == "meta" else f", traced on {report.traced_on}"
    if report.status == "exact":
        return f"exact{on}"
    return f"lower bound{on}: no formula for {', '.join(report.unknown_ops)}"


def several(reports: Sequence[CostReport]) -> tuple[list[str], list[list[str]], str]:
    """A line a network: header, cells, and the side of each column."""
    header: dict[str, None] = {}
    for report in reports:
        header.update(dict.fromkeys(title for title, _ in totals(report)))
    order = [title for title in header if title != "count"] + ["count"]
    rows = []
    for report in reports:
        cells = dict(totals(report))
        rows.append([report.name, *(cells.get(title, "") for title in order)])
    left = {"input", "count", "peak memory"}
    sides = "l" + "".join("l" if title in left else "r" for title in order)
    return ["network", *order], rows, sides
