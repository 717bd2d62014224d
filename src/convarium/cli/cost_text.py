"""Cost reports as the text of each `--format`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convarium.cli.output import json_text
from convarium.cli.text import columns, shape, short
from convarium.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from convarium.cost.listing import View
    from convarium.cost.report import CostReport, CostRow

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
    return _tables(shown, single=single, markdown=form == "markdown")


def _drawn(reports: list[CostReport], view: View, form: str) -> str:
    if form == "html":
        from convarium.report.cost_page import cost_page

        return cost_page(reports, view.depth)
    if len(reports) > 1:
        raise UsageError("--format svg draws one network. Take html for several.")
    from convarium.report.diagram import diagram

    return diagram(reports[0], view.depth)


def _tables(reports: list[CostReport], *, single: bool, markdown: bool) -> str:
    """The rows of a single network, then the totals."""
    tables = [_rows(reports[0])] if single else []
    tables.append(_totals(reports))
    if not markdown:
        return "\n\n".join(columns(*table[:2], right=table[2]) for table in tables) + "\n"
    from convarium.cost.formats import as_markdown

    return "\n".join(as_markdown(*table) for table in tables)


Table = tuple[Sequence[str], Sequence[Sequence[str]], str]


def _rows(report: CostReport) -> Table:
    cells: list[tuple[str, str, Callable[[CostRow], str]]] = [
        ("layer", "l", lambda row: row.name),
        ("kind", "l", lambda row: row.kind),
        ("output", "l", lambda row: shape(row.output_shape)),
        ("params", "r", lambda row: _count(row.params)),
        ("MACs", "r", lambda row: _count(row.macs)),
    ]
    if report.macs_backward:
        cells.append(("MACs backward", "r", lambda row: _count(row.macs_backward)))
        cells.append(("kept", "r", lambda row: _megabytes(row.kept_bytes or 0)))
    cells += [
        ("% MACs", "r", lambda row: _percent(row.macs, report.macs)),
        ("moved", "r", lambda row: _megabytes(row.bytes_read + row.bytes_written)),
        ("FLOPs/byte", "r", lambda row: f"{row.intensity:.1f}" if row.macs else ""),
        ("activation", "r", lambda row: _megabytes(row.activation_bytes)),
        ("field", "r", _field),
    ]
    rows = [[cell(row) for _, _, cell in cells] for row in report.rows]
    return [title for title, _, _ in cells], rows, "".join(side for _, side, _ in cells)


def _totals(reports: list[CostReport]) -> Table:
    training = any(report.macs_backward for report in reports)
    rows = [
        [
            report.name,
            shape((report.batch_size, *report.input_size)),
            f"{report.params:,}",
            f"{report.macs:,}",
            *([f"{report.macs_backward:,}"] if training else []),
            short(report.flops),
            f"{4 * report.params / 1e6:.2f} MB",
            _megabytes(report.bytes_read + report.bytes_written),
            f"{report.arithmetic_intensity:.1f}",
            _status(report),
        ]
        for report in reports
    ]
    header = ["network", "input", "params", "MACs", *(["MACs backward"] if training else [])]
    header += ["FLOPs", "as float32", "moved", "FLOPs/byte", "count"]
    return header, rows, "llrr" + "r" * training + "rrrrl"


def _status(report: CostReport) -> str:
    if report.status == "exact":
        return "exact" if report.traced_on == "meta" else f"exact, traced on {report.traced_on}"
    return f"lower bound: no formula for {', '.join(report.unknown_ops)}"


def _field(row: CostRow) -> str:
    """ "7 to 15" where branches that see different squares are joined."""
    if row.receptive_field is None:
        return "all"
    least, most = row.receptive_field_min, row.receptive_field
    return str(most) if least == most else f"{least} to {most}"


def _count(value: int) -> str:
    return f"{value:,}" if value else ""


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if part and whole else ""


def _megabytes(value: int) -> str:
    return f"{value / 1e6:.2f} MB"
