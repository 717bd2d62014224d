"""Where the names of bubbles go, so that none covers another name or a bubble."""

from __future__ import annotations

from dataclasses import dataclass

_LETTER, _LINE, _GAP = 7.0, 16.0, 5.0  # pixels of a 12.5-pixel sans-serif


@dataclass(frozen=True, slots=True)
class Spot:
    """A bubble on the canvas, in pixels from the top left, and its name."""

    x: float
    y: float
    radius: float
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """Offset in pixels of the name from its bubble's centre, and the side it grows from."""

    dx: float
    dy: float
    align: str


_Box = tuple[float, float, float, float]  # left, top, right, bottom


def place(spots: list[Spot], width: float, height: float) -> list[Label]:
    """A label for each spot, greedily: the place that covers the least of what stands already."""
    bubbles = [(s.x - s.radius, s.y - s.radius, s.x + s.radius, s.y + s.radius) for s in spots]
    taken: list[_Box] = []
    labels = []
    for number, spot in enumerate(spots):
        others = bubbles[:number] + bubbles[number + 1 :] + taken
        best = min(_candidates(spot), key=lambda c: _cost(_box(spot, c), others, width, height))
        taken.append(_box(spot, best))
        labels.append(best)
    return labels


def _candidates(spot: Spot) -> list[Label]:
    """Right, left, above and below, then further up and down: earlier ones win a tie."""
    reach = spot.radius + _GAP
    labels = [
        Label(reach, 0, "left"),
        Label(-reach, 0, "right"),
        Label(0, -reach - _LINE / 2, "center"),
        Label(0, reach + _LINE / 2, "center"),
    ]
    for far in (_LINE, 1.8 * _LINE, 2.6 * _LINE):
        for dy in (-far, far):
            labels += [Label(reach * 0.8, dy, "left"), Label(-reach * 0.8, dy, "right")]
    return labels


def _box(spot: Spot, label: Label) -> _Box:
    wide = _LETTER * len(spot.text)
    left = spot.x + label.dx - {"left": 0.0, "center": wide / 2, "right": wide}[label.align]
    middle = spot.y + label.dy
    return left, middle - _LINE / 2, left + wide, middle + _LINE / 2


def _cost(box: _Box, others: list[_Box], width: float, height: float) -> float:
    """Square pixels covered, with what leaves the canvas counted tenfold."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    outside = area - _shared(box, (0.0, 0.0, width, height))
    return sum(_shared(box, other) for other in others) + 10 * outside


def _shared(a: _Box, b: _Box) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, wide) * max(0.0, high)
