"""Training curves: loss and training accuracy, by epoch and by seconds."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from convarium.report.drawing import ROWS, Drawing, faded, finished, log_axis, whole_axis
from convarium.report.entries import Entry

_WIDTH, _HEIGHT = 420, 250
_ACROSS = {"epoch": "epochs", "seconds": "seconds"}
_UP = {
    "loss": "training loss, nats, log",
    "train_top1": "training top-1, %",
}


def curve_charts(entries: list[Entry]) -> list[Drawing]:
    """Loss, then accuracy, each by epoch and by seconds; none where nothing was logged."""
    points = [point for entry in entries for point in _points(entry)]
    drawn = [up for up in _UP if any(point[up] is not None for point in points)]
    return [_curve(points, across, up) for up in drawn for across in _ACROSS]


def _points(entry: Entry) -> list[dict[str, Any]]:
    return [
        {
            "key": entry.key,
            "model": entry.model,
            "hue": entry.hue,
            "dash": entry.dash,
            "epoch": point.epoch,
            "seconds": point.seconds,
            "loss": point.loss if math.isfinite(point.loss) and point.loss > 0 else None,
            "train_top1": 100 * point.train_top1 if math.isfinite(point.train_top1) else None,
        }
        for point in entry.result.curve
    ]


def _curve(points: list[dict[str, Any]], across: str, up: str) -> Drawing:
    heights = [point[up] for point in points if point[up] is not None]
    if up == "loss":
        scale = alt.Scale(type="log", domain=[min(heights) / 1.2, max(heights) * 1.2], nice=False)
        y = alt.Y("loss:Q", title=_UP[up], scale=scale, axis=log_axis(scale["domain"]))
    else:
        scale = alt.Scale(zero=False, domainMax=100)
        y = alt.Y("train_top1:Q", title=_UP[up], scale=scale, axis=alt.Axis(tickCount=5))
    axis = alt.Axis(grid=False, tickCount=5, tickMinStep=1)
    if across == "epoch":
        axis = whole_axis(point["epoch"] for point in points)
    base = (
        alt.Chart(ROWS)
        .transform_filter(f"isValid(datum.{up})")
        .encode(
            x=alt.X(
                f"{across}:Q",
                title=_ACROSS[across],
                scale=alt.Scale(nice=False),
                axis=axis,
            ),
            y=y,
            detail="key:N",
        )
    )
    name = f"{'loss' if up == 'loss' else 'accuracy'}-by-{across}"
    return Drawing(
        name=f"training-{name}",
        title=name.replace("-", " ").capitalize(),
        about=f"Training curves: {_UP[up]}, against {_ACROSS[across]}, one line a network.",
        spec=finished(alt.layer(*_marks(base)), points, width=_WIDTH, height=_HEIGHT),
    )


def _marks(base: Any) -> list[Any]:
    """A line a network in its hue and dashes, and a dot an epoch: one epoch makes no line."""
    colour = alt.Stroke("hue:N", scale=None)
    lines = base.mark_line(strokeWidth=2, strokeJoin="round").encode(
        stroke=colour,
        strokeDash=alt.StrokeDash("dash:N", scale=None),
        opacity=faded(0.95, 0.1),
    )
    dots = base.mark_point(filled=True, size=34, cursor="pointer").encode(
        fill=alt.Fill("hue:N", scale=None),
        opacity=faded(1, 0.1),
        tooltip=[
            alt.Tooltip("model:N", title="network"),
            alt.Tooltip("epoch:Q"),
            alt.Tooltip("seconds:Q", title="seconds", format=".1f"),
            alt.Tooltip("loss:Q", title="loss, nats", format=".3g"),
            alt.Tooltip("train_top1:Q", title="training top-1, %", format=".1f"),
        ],
    )
    return [lines, dots]
