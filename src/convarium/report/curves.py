"""Training curves: loss and training accuracy, by epoch and by seconds."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from convarium.report.drawing import Drawing, faded, finished
from convarium.report.entries import Entry

_WIDTH, _HEIGHT = 420, 250
_ACROSS = {"epoch": "epochs", "seconds": "seconds of training"}
_UP = {
    "loss": "training loss, nats, log scale",
    "train_top1": "training top-1, %, as seen while training",
}


def curve_charts(entries: list[Entry]) -> list[Drawing]:
    """Four charts, loss before accuracy and epochs before seconds; none where nothing was logged."""
    points = [point for entry in entries for point in _points(entry)]
    if not points:
        return []
    return [_curve(points, across, up) for up in _UP for across in _ACROSS]


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
    y = alt.Y(
        f"{up}:Q",
        title=_UP[up],
        scale=alt.Scale(type="log") if up == "loss" else alt.Scale(zero=False, domainMax=100),
        axis=alt.Axis(tickCount=5, format="~g"),
    )
    base = (
        alt.Chart(alt.InlineData(values=points))
        .transform_filter(f"isValid(datum.{up})")
        .encode(
            x=alt.X(
                f"{across}:Q",
                title=_ACROSS[across],
                scale=alt.Scale(nice=False),
                axis=alt.Axis(grid=False, tickCount=5, tickMinStep=1, format="~g"),
            ),
            y=y,
            detail="key:N",
        )
    )
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
    name = f"{'loss' if up == 'loss' else 'accuracy'}-by-{across}"
    return Drawing(
        name=f"training-{name}",
        title=name.replace("-", " ").capitalize(),
        about=f"Training curves: {_UP[up]}, against {_ACROSS[across]}, one line a network.",
        spec=finished(alt.layer(lines, dots), width=_WIDTH, height=_HEIGHT),
    )
