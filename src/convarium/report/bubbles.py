"""The picture every lecture shows: accuracy against cost, each bubble as large as its network."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from convarium.report.drawing import EDGE, FONT, ROWS, Drawing, faded, finished, log_axis
from convarium.report.entries import Entry, had
from convarium.report.palette import variable
from convarium.report.places import Spot, place

_WIDTH, _HEIGHT, _LARGEST = 860, 430, 3000  # pixels, pixels, square pixels


def macs_chart(entries: list[Entry]) -> Drawing | None:
    """Top-1 against multiply-adds of one picture; None where no network has both."""
    return _bubbles(
        entries,
        field="macs",
        name="accuracy-macs",
        title="Accuracy against computation",
        axis="MACs per picture, log scale",
        unit="MACs",
    )


def time_chart(entries: list[Entry]) -> Drawing | None:
    """Top-1 against this machine's milliseconds, with the front; None where no network has both."""
    return _bubbles(
        entries,
        field="ms_batch1",
        name="accuracy-milliseconds",
        title="Accuracy against this machine's time",
        axis="milliseconds per picture, log scale",
        unit="ms",
    )


def _bubbles(
    entries: list[Entry], *, field: str, name: str, title: str, axis: str, unit: str
) -> Drawing | None:
    rows = [row for entry in entries if (row := _row(entry, field, unit))]
    if not rows:
        return None
    rows.sort(key=lambda row: -row["params"])  # small bubbles lie on large ones
    across, up = _across(rows), _up(rows)
    form = "~s" if field == "macs" else "~g"
    _label(rows, across, up)
    base = alt.Chart(ROWS).encode(
        x=alt.X(
            "cost:Q",
            title=axis,
            scale=alt.Scale(type="log", domain=across, nice=False),
            axis=log_axis(across, form, grid=False, labelOverlap="greedy"),
        ),
        y=_accuracy("top1", up),
    )
    layers = [*([_front(base)] if field == "ms_batch1" else []), *_marks(base, rows, up)]
    told = ", ".join(f"{row['model']} {row['top1_text']} at {row['cost_text']}" for row in rows)
    return Drawing(
        name=name,
        title=title,
        about=f"Bubbles: {axis} across, top-1 accuracy up, area is parameters. {told}.",
        spec=finished(alt.layer(*layers), rows, width=_WIDTH, height=_HEIGHT),
    )


def _row(entry: Entry, field: str, unit: str) -> dict[str, Any] | None:
    result, top1 = entry.result, entry.top1
    cost, params = had(result, field), had(result, "params")
    if top1 is None or not cost or cost <= 0 or not params:
        return None
    low, high = had(result, "top1_low"), had(result, "top1_high")
    known = low is not None and high is not None
    low, high = top1 if low is None else low, top1 if high is None else high
    return {
        "key": entry.key,
        "model": entry.model,
        "top1": 100 * top1,
        "low": 100 * low,
        "high": 100 * high,
        "top1_text": f"{100 * top1:.1f} %",
        "interval": f"{100 * low:.1f} to {100 * high:.1f} %" if known else "not available",
        "cost": cost,
        "cost_text": f"{cost:,.3g} {unit}" if cost < 1000 else f"{cost:,.0f} {unit}",
        "params": params,
        "hue": entry.hue,
        "dash": entry.dash,
        "front": entry.on_time_front,
    }


def _across(rows: list[dict[str, Any]]) -> list[float]:
    costs = [row["cost"] for row in rows]
    return [min(costs) / 1.7, max(costs) * 2.2]


def _up(rows: list[dict[str, Any]]) -> list[float]:
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    pad = 0.08 * (high - low) + 0.2
    return [max(0.0, low - pad), min(100.0, high + pad)]


def _accuracy(field: str, up: list[float]) -> Any:
    return alt.Y(
        f"{field}:Q",
        title="top-1 accuracy, %",
        scale=alt.Scale(domain=up, nice=False, zero=False),
        axis=alt.Axis(tickCount=6),
    )


def _label(rows: list[dict[str, Any]], across: list[float], up: list[float]) -> None:
    """Gives each row the offset and alignment at which its name covers nothing else."""
    largest = max(row["params"] for row in rows)
    wide = math.log(across[1] / across[0])
    spots = [
        Spot(
            x=_WIDTH * math.log(row["cost"] / across[0]) / wide,
            y=_HEIGHT * (up[1] - row["top1"]) / (up[1] - up[0]),
            radius=math.sqrt(_LARGEST * row["params"] / largest / math.pi),
            text=row["model"],
        )
        for row in rows
    ]
    for row, label in zip(rows, place(spots, _WIDTH, _HEIGHT), strict=True):
        row.update(dx=label.dx, dy=label.dy, align=label.align)


def _front(base: Any) -> Any:
    return (
        base.transform_filter("datum.front")
        .mark_line(color=variable("muted"), strokeDash=[3, 4], strokeWidth=1.5)
        .encode(order="cost:Q")
    )


def _marks(base: Any, rows: list[dict[str, Any]], up: list[float]) -> list[Any]:
    """Intervals below, bubbles on them, names on top."""
    tooltip = [
        alt.Tooltip("model:N", title="network"),
        alt.Tooltip("top1_text:N", title="top-1"),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("cost_text:N", title="cost"),
        alt.Tooltip("params:Q", title="parameters", format=","),
    ]
    intervals = base.mark_rule(strokeWidth=1.5).encode(
        y=_accuracy("low", up),
        y2="high:Q",
        stroke=alt.Stroke("hue:N", scale=None),
        opacity=faded(0.55, 0.08),
    )
    bubbles = base.mark_point(
        filled=True, strokeWidth=1.8, fillOpacity=0.35, cursor="pointer"
    ).encode(
        size=_area(rows),
        fill=alt.Fill("hue:N", scale=None),
        stroke=alt.Stroke("hue:N", scale=None),
        opacity=faded(1, 0.15),
        tooltip=tooltip,
    )
    return [intervals, bubbles, *_names(base)]


def _area(rows: list[dict[str, Any]]) -> Any:
    """Bubble area in proportion to parameters, half as large on narrow screens."""
    largest = max(row["params"] for row in rows)
    full = alt.ExprRef(f"width < 520 ? {_LARGEST // 2} : {_LARGEST}")
    legend = alt.Legend(
        title="parameters",
        orient="bottom",
        direction="horizontal",
        labelExpr="format(datum.value, '~s')",  # each in its own unit: 100k, 1M
        values=_sizes(largest),
        symbolFillColor=variable("line"),
        symbolStrokeColor=variable("muted"),
    )
    scale = alt.Scale(domain=[0, largest], range=[0, full])
    return alt.Size("params:Q", scale=scale, legend=legend)


def _names(base: Any) -> list[Any]:
    """Each network's name beside its bubble."""
    # Narrow screens name only the network that is picked: an empty text takes no room.
    text = alt.condition("width < 520 && datum.key !== picked", alt.value(""), "model:N")
    return [
        words.encode(text=text, opacity=faded(1, 0)) for words in edged_words(base, fontWeight=500)
    ]


def edged_words(base: Any, **style: Any) -> list[Any]:
    """Marks for words beside points, in the chart's own columns dx, dy and align.

    Two of each: the first has a wide edge of the card's colour, so that lines stay off the second.
    """
    return [
        base.mark_text(
            dx=alt.expr("datum.dx"),
            dy=alt.expr("datum.dy"),
            align=alt.expr("datum.align"),
            baseline="middle",
            fontSize=12.5,
            font=FONT,
            **style,
            **edge,
        )
        for edge in (EDGE, {})
    ]


def _sizes(largest: int) -> list[float]:
    """Three round numbers of parameters up to the largest network's.

    >>> _sizes(9_200_000)
    [100000.0, 1000000.0, 9000000.0]
    """
    ten = 10.0 ** math.floor(math.log10(largest))
    return (
        [ten / 10, ten, math.floor(largest / ten) * ten] if largest >= 2 * ten else [ten / 10, ten]
    )
