"""What one training went through, epoch by epoch: lines by series, with their swatches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from convarium.records.model import EpochPoint, Result
from convarium.report.drawing import ROWS, Drawing, finished, log_axis, whole_axis
from convarium.report.palette import dash, hue

_WIDTH, _HEIGHT = 420, 250


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, its place in the palette, and (epoch, value) where there is a value."""

    name: str
    place: int
    points: tuple[tuple[int, float], ...]

    @property
    def hue(self) -> str:
        return hue(self.place)

    @property
    def dash(self) -> list[int]:
        return dash(self.place)


@dataclass(frozen=True, slots=True)
class Lines:
    """A chart and its series; `words` say what to look for in it."""

    drawing: Drawing
    series: tuple[Series, ...]
    words: str = ""


def training_lines(result: Result) -> list[Lines]:
    """Loss, errors and rate of one training, as far as they were recorded."""
    curve = result.curve
    errors = [_series("training", 0, curve, lambda p: 100 * (1 - p.train_top1))]
    errors.append(_series("validation", 1, curve, lambda p: _percent(p.error)))
    found = [
        _lines(
            "loss", "Loss", "loss, nats, log", [_series("training", 0, curve, lambda p: p.loss)]
        ),
        _lines("error", "Error", "top-1 error, %", errors),
        _lines("rate", "Learning rate", "rate of the last step", [_series("", 0, curve, _rate)]),
    ]
    return [lines for lines in found if lines is not None]


def gradient_lines(curve: Sequence[EpochPoint], key: str = "") -> Lines | None:
    """The gradient's norm in each stage by epoch; None where none was recorded.

    Args:
        curve: of one training.
        key: tells the charts of several networks apart.
    """
    stages = list(dict.fromkeys(name for point in curve for name in point.grad_norms))
    series = [
        _series(stage, place, curve, lambda p, stage=stage: p.grad_norms.get(stage))
        for place, stage in enumerate(stages)
    ]
    words = "Before clipping, mean over every tenth step; stages as the network lists them."
    up = "norm of the gradient, log"
    return _lines(f"gradient{key}", "Gradient by stage", up, series, words)


def _rate(point: EpochPoint) -> float | None:
    return point.lr


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _series(name: str, place: int, curve: Sequence[EpochPoint], value: Any) -> Series:
    points = [(point.epoch, value(point)) for point in curve]
    known = tuple((epoch, v) for epoch, v in points if v is not None and math.isfinite(v))
    return Series(name, place, known)


def _lines(name: str, title: str, up: str, series: list[Series], words: str = "") -> Lines | None:
    """The chart of the series that have points; a log axis takes only what is above 0."""
    log = up.endswith("log")
    if log:
        series = [
            Series(one.name, one.place, tuple(p for p in one.points if p[1] > 0)) for one in series
        ]
    series = [one for one in series if one.points]
    if not series:
        return None
    rows = [
        {"key": one.name, "hue": one.hue, "dash": one.dash, "epoch": epoch, "value": value}
        for one in series
        for epoch, value in one.points
    ]
    told = ", ".join(one.name for one in series if one.name)
    drawing = Drawing(
        name=f"run-{name}",
        title=title,
        about=f"{title} against epochs{': ' if told else ''}{told}.",
        spec=finished(alt.layer(*_marks(rows, up, log)), rows, width=_WIDTH, height=_HEIGHT),
    )
    return Lines(drawing, tuple(series), words)


def _marks(rows: list[dict[str, Any]], up: str, log: bool) -> list[Any]:
    """A line a series in its hue and dashes, and a dot an epoch: one epoch makes no line."""
    heights = [row["value"] for row in rows]
    if log:
        scale = alt.Scale(type="log", domain=[min(heights) / 1.2, max(heights) * 1.2], nice=False)
        axis = log_axis(scale["domain"])
    else:
        scale, axis = alt.Scale(zero=True), alt.Axis(tickCount=5)
    base = alt.Chart(ROWS).encode(
        x=alt.X(
            "epoch:Q",
            title="epochs",
            scale=alt.Scale(nice=False),
            axis=whole_axis(row["epoch"] for row in rows),
        ),
        y=alt.Y("value:Q", title=up, scale=scale, axis=axis),
        detail="key:N",
    )
    lines = base.mark_line(strokeWidth=2, strokeJoin="round").encode(
        stroke=alt.Stroke("hue:N", scale=None), strokeDash=alt.StrokeDash("dash:N", scale=None)
    )
    dots = base.mark_point(filled=True, size=26).encode(
        fill=alt.Fill("hue:N", scale=None),
        tooltip=[
            alt.Tooltip("key:N", title="series"),
            alt.Tooltip("epoch:Q"),
            alt.Tooltip("value:Q", title=up, format=".4g"),
        ],
    )
    return [lines, dots]
