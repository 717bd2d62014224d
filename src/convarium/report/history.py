"""ILSVRC 2010-2017: the winners' top-5 error from the ledger, and how deep their networks were."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import altair as alt

from convarium import facts
from convarium.report.drawing import EDGE, FONT, ROWS, Drawing, finished
from convarium.report.palette import variable


@dataclass(frozen=True, slots=True)
class Winner:
    """A year's winner. `depth` counts layers with weights on the longest path; None has a reason.

    `confidence` is of the name and depth: "sourced" or "memory". The error is the ledger's.
    """

    year: int
    name: str
    depth: int | None
    where: str
    confidence: str
    error: float = 0.0


_SHALLOW = "hand-made features and a linear classifier: no depth to count"


def winners() -> list[Winner]:
    """The winners by year, errors in percent.

    Source:
        Errors: the ledger's `background.ilsvrc`. Depths: as each row says.
    """
    errors = facts.background()["ilsvrc"]["winners_top5"]
    eight = facts.model_facts("alexnet_2gpu").params.weight_layers
    rows = (
        (2010, "NEC-UIUC", None, _SHALLOW, "memory"),
        (2011, "XRCE", None, _SHALLOW, "memory"),
        (2012, "AlexNet", eight, "counted: 5 convolutions and 3 linear layers", "sourced"),
        (2013, "Clarifai", 8, "as ZFNet of the same author; its own was not published", "memory"),
        (2014, "GoogLeNet", 22, "GoogLeNet, abstract; VGG with 19 came second", "sourced"),
        (2015, "ResNet", 152, "ResNet, abstract (projections not counted)", "sourced"),
        (2016, "Trimps-Soushen", None, "an ensemble of several published designs", "memory"),
        (2017, "SENet", 154, "the name of the released SENet-154", "memory"),
    )
    return [Winner(*row, error=errors[row[0]]) for row in rows]


@cache
def history_chart() -> Drawing:
    """Bars for the error, a line for the depth, and the human line of the ledger."""
    human = facts.background()["ilsvrc"]["human_top5"]
    rows = [_row(winner) for winner in winners()]
    lines = "width < 620 ? '\u2019' + slice(datum.value, 2, 4) : split(datum.value, '|')"
    year = alt.X(
        "year:O",
        title=None,
        axis=alt.Axis(labelAngle=0, ticks=False, labelPadding=8, labelExpr=lines, labelLimit=130),
    )
    base = alt.Chart(ROWS).encode(x=year)
    chart = alt.layer(
        alt.layer(*_errors(base), *_human(human)),
        alt.layer(*_depths(base)),
    ).resolve_scale(y="independent")
    told = ", ".join(f"{w.year} {w.name} {w.error} %" for w in winners())
    return Drawing(
        name="ilsvrc-history",
        title="Deeper and better, 2010-2017",
        about=f"Top-5 error of each ILSVRC winner and its depth; people: {human} %. {told}.",
        spec=finished(chart, rows, width=860, height=360),
    )


def _row(winner: Winner) -> dict[str, Any]:
    mark = "" if winner.confidence == "sourced" else "*"
    return {
        "year": f"{winner.year}|{winner.name}{mark}",
        "name": f"{winner.year}, {winner.name}{mark}",
        "error": winner.error,
        "error_text": f"{winner.error:g} %",
        "depth": winner.depth,
        "depth_text": f"{winner.depth} layers{mark}" if winner.depth else "",
        "where": winner.where,
    }


def _errors(base: Any) -> list[Any]:
    error = alt.Y(
        "error:Q",
        title="top-5 error of the winner, %",
        scale=alt.Scale(domain=[0, 32]),
        axis=alt.Axis(tickCount=6, titleColor=variable("muted")),
    )
    tooltip = [
        alt.Tooltip("name:N", title="winner"),
        alt.Tooltip("error_text:N", title="top-5 error"),
        alt.Tooltip("depth_text:N", title="depth"),
        alt.Tooltip("where:N", title="depth from"),
    ]
    bars = base.mark_bar(
        color=variable("s5"), opacity=0.3, width=alt.RelativeBandSize(band=0.6)
    ).encode(y=error, tooltip=tooltip)
    numbers = _outlined(base, dy=-8, fontSize=alt.expr("width < 500 ? 9 : 13"))
    numbers = [text.encode(y=error, text=_short("error")) for text in numbers]
    return [bars, *numbers]


def _human(human: float) -> list[Any]:
    rule = alt.Chart(alt.InlineData(values=[{"human": human, "text": f"people {human} %"}]))
    line = rule.mark_rule(color=variable("alarm"), strokeDash=[6, 4], strokeWidth=1.5).encode(
        y="human:Q"
    )
    texts = _outlined(rule, color=variable("alarm"), align="right", dx=-2, dy=-8)
    right = alt.value("width")
    return [line, *(text.encode(x=right, y="human:Q", text="text:N") for text in texts)]


def _depths(base: Any) -> list[Any]:
    depth = alt.Y(
        "depth:Q",
        title="layers with weights, log scale",
        scale=alt.Scale(type="log", domain=[2, 400], nice=False),
        axis=alt.Axis(orient="right", grid=False, values=[2, 8, 22, 50, 152], format="d"),
    )
    deep = base.transform_filter("isValid(datum.depth)")
    line = base.mark_line(color=variable("accent"), strokeWidth=2.5).encode(y=depth)
    dots = deep.mark_point(
        filled=True, size=90, color=variable("accent"), opacity=1, stroke=variable("card")
    ).encode(y=depth)
    texts = _outlined(
        deep, dy=-15, color=variable("accent"), fontSize=alt.expr("width < 500 ? 9 : 12")
    )
    return [line, dots, *(text.encode(y=depth, text=_short("depth")) for text in texts)]


def _short(field: str) -> Any:
    """The number alone where the chart is narrow, with its unit elsewhere."""
    number = alt.value(alt.ExprRef(f"datum.{field}"))
    return alt.condition("width < 620", number, f"{field}_text:N")


def _outlined(base: Any, **style: Any) -> list[Any]:
    """The text twice, first with a wide edge of the card's colour, so that lines stay off it."""
    return [base.mark_text(font=FONT, fontWeight=600, **style, **under) for under in (EDGE, {})]
