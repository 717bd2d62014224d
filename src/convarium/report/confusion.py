"""Which class was taken for which: one square a pair of classes, any number of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

from convarium.report.drawing import FONT, ROWS, Drawing, finished
from convarium.report.entries import Entry
from convarium.report.palette import variable

_SIDE = 340  # pixels
_NUMBERS_TO, _NAMES_TO = 20, 40  # classes up to which squares and axes carry text


@dataclass(frozen=True, slots=True)
class Mixup:
    """A pair of classes that was confused: how often, out of how many of the true class."""

    truth: str
    answer: str
    times: int
    of: int


def mixups(entry: Entry, classes: tuple[str, ...], most: int = 3) -> list[Mixup]:
    """The pairs confused most often, most frequent first."""
    pairs = [
        Mixup(classes[t], classes[a], times, sum(row))
        for t, row in enumerate(entry.result.confusion)
        for a, times in enumerate(row)
        if times and t != a
    ]
    return sorted(pairs, key=lambda pair: -pair.times)[:most]


def confusion_chart(entry: Entry, classes: tuple[str, ...]) -> Drawing | None:
    """Truth down, answer across; a square's strength is its share of the true class."""
    rows = _squares(entry, classes)
    if not rows:
        return None
    count = len(classes)
    order = [f"{number} {name}" for number, name in enumerate(classes)]
    base = alt.Chart(ROWS).encode(
        x=_axis("answer", "answer", order, labelAngle=0 if _short(classes) else -90),
        y=_axis("truth", "truth", order),
    )
    squares = base.mark_rect(stroke=variable("card"), strokeWidth=1 if count <= _NAMES_TO else 0)
    squares = squares.encode(
        fill=alt.when("datum.right")
        .then(alt.value(variable("s0")))
        .otherwise(alt.value(variable("s1"))),
        fillOpacity=alt.FillOpacity(
            "strength:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None
        ),
        tooltip=[
            alt.Tooltip("truth_name:N", title="truth"),
            alt.Tooltip("answer_name:N", title="answer"),
            alt.Tooltip("times:Q", title="pictures"),
            alt.Tooltip("of:Q", title="of"),
        ],
    )
    layers = [squares]
    zero = alt.ViewBackground(fill=variable("soft"), stroke=None)
    if count <= _NUMBERS_TO:
        layers.append(_numbers(base))
    correct = sum(row["times"] for row in rows if row["right"])
    return Drawing(
        name=f"confusion-{entry.position + 1:02}",
        title=f"Confusion of {entry.model}",
        about=f"Confusion matrix of {entry.model} over {count} classes: "
        f"{correct} pictures on the diagonal, {sum(r['times'] for r in rows) - correct} off it.",
        spec=finished(alt.layer(*layers, view=zero), rows, width=_SIDE, height=_SIDE),
        fluid=False,
    )


def _squares(entry: Entry, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Only squares that hold pictures, so that many classes stay light."""
    squares = []
    for t, row in enumerate(entry.result.confusion):
        of = sum(row)
        for a, times in enumerate(row):
            if not times:
                continue
            share = times / of
            squares.append(
                {
                    "truth": f"{t} {classes[t]}",
                    "answer": f"{a} {classes[a]}",
                    "truth_name": classes[t],
                    "answer_name": classes[a],
                    "times": times,
                    "of": of,
                    "right": t == a,
                    # A single error in a large class must still be seen.
                    "strength": share if t == a else 0.25 + 0.75 * share,
                }
            )
    return squares


def _short(classes: tuple[str, ...]) -> bool:
    return len(classes) * max(len(name) for name in classes) * 7 < _SIDE


def _axis(field: str, title: str, order: list[str], **options: Any) -> Any:
    """Positions carry number and name, so that two classes of one name stay apart."""
    channel = alt.X if field == "answer" else alt.Y
    named = len(order) <= _NAMES_TO
    return channel(
        f"{field}:N",
        title=title,
        scale=alt.Scale(domain=order, padding=0),
        axis=alt.Axis(
            labels=named,
            ticks=False,
            domain=False,
            labelExpr="slice(datum.value, indexof(datum.value, ' ') + 1)",
            labelLimit=110,
            labelFontSize=12 if len(order) <= _NUMBERS_TO else 8,
            **options,
        ),
    )


def _numbers(base: Any) -> Any:
    bright = "datum.strength > 0.55"
    return base.mark_text(fontSize=11, font=FONT).encode(
        text="times:Q",
        color=alt.when(bright)
        .then(alt.value(variable("on-accent")))
        .otherwise(alt.value(variable("ink"))),
    )
