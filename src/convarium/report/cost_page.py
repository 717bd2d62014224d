"""The price of networks as one HTML file that asks nothing of any network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import jinja2
from markupsafe import Markup

import convarium
from convarium.cost.columns import count, field, pixels, several
from convarium.cost.listing import grouped, path_of
from convarium.cost.report import CostReport, CostRow
from convarium.files import printable
from convarium.report.diagram import diagram
from convarium.report.palette import TOKENS


def cost_page(reports: Sequence[CostReport], depth: int | None = None) -> str:
    """Totals of all networks, and for each its picture and its layers module by module.

    Args:
        reports: with all their rows.
        depth: path parts of a block in the picture; what fits a page when None.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters.update(
        count=count, shape=_shape, size=_size, drawn=_drawn(depth), field=field, pixels=pixels
    )
    names, cells, _ = several(reports)
    by_total = zip(*cells, strict=True)
    next(by_total)  # the names stand above
    text = (resources.files("convarium.report") / "cost.html").read_text("utf-8")
    page: str = environment.from_string(text).render(
        reports=reports,
        sections=[_sections(report) for report in reports],
        totals=list(zip(names[1:], by_total, strict=True)),
        tokens=TOKENS,
        version=convarium.__version__,
    )
    return page


def _sections(report: CostReport) -> list[tuple[CostRow, list[CostRow]]]:
    """Each top module's sum, and its rows; none where the module is one row."""
    members: dict[str, list[CostRow]] = {}
    for row in report.rows:
        members.setdefault(path_of(row.name, 1), []).append(row)
    sums = grouped(report.rows, 1)
    return [
        (total, rows if len(rows) > 1 else [])
        for total, rows in zip(sums, members.values(), strict=True)
    ]


def _drawn(depth: int | None) -> object:
    def drawn(report: CostReport) -> Markup:
        return Markup(diagram(report, depth))  # the diagram escapes the names in it

    return drawn


def _shape(sides: Sequence[int]) -> str:
    return " \u00d7 ".join(map(str, sides))


def _size(value: int | None) -> str:
    return "?" if value is None else f"{value / 1e6:,.2f}"
