"""The receptive field of a whole tensor: a box of input pixels a map, equal ones stored once."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convarium.trace.reach import Reach

Box = tuple[Reach, Reach]  # along rows, along columns
Ids = np.ndarray[Any, Any]
Merge = Callable[[Ids], "Box | tuple[()] | None"]
Shape = tuple[int, ...]
# Field and shape of each tensor argument; None where the picture has no part in it.
Given = list[tuple["Field | None", Shape]]


class Seen(NamedTuple):
    """What the maps of a tensor see, in input pixels.

    `side` is the largest over maps and axes, `least` that of the map that sees least, along its
    longer axis. `stride` and `offset` are of the longer axis of the largest box: the step from one
    output pixel to the next, and the centre of what the first sees from that of the first pixel.
    """

    side: int
    least: int
    stride: float
    offset: float


class Field:
    """Where each map of a (..., H, W) tensor looks.

    `ids` has the tensor's shape without (H, W), or one that broadcasts to it, and tells which of
    `boxes` a map has (-1: it sees nothing); None where all have the first. Neither boxes nor ids
    mean the `whole` picture, or that the trace cannot tell.
    """

    __slots__ = ("_seen", "boxes", "ids", "whole")

    def __init__(self, boxes: tuple[Box, ...], ids: Ids | None = None) -> None:
        self.boxes, self.ids = boxes, ids
        self.whole = not boxes and ids is None
        self._seen: Seen | None = None  # once asked for

    @property
    def seen(self) -> Seen:
        """Sizes and places, of a field with boxes."""
        if self._seen is None:
            sides = list(map(_side, self.boxes))
            rows, columns = self.boxes[sides.index(max(sides))]
            longer = rows if rows == columns or rows.side >= columns.side else columns
            self._seen = Seen(int(max(sides)), int(min(sides)), longer.step, longer.centre)
        return self._seen

    def each(self, change: Callable[[Reach, int], Reach]) -> Field:
        """Every box changed along axis 0 (rows) and axis 1 (columns)."""
        changed = tuple((change(rows, 0), change(columns, 1)) for rows, columns in self.boxes)
        return Field(changed, self.ids)

    def arranged(self, change: Callable[[Ids], Ids]) -> Field:
        """The maps in another order or shape; nothing changes where all look alike."""
        return self if self.ids is None else _tidy(self.boxes, change(self.ids))

    def spread(self, leading: tuple[int, ...]) -> Ids:
        """The ids of a tensor whose shape without (H, W) is `leading`, one a map."""
        ids = np.zeros((1,), int) if self.ids is None else self.ids
        return np.broadcast_to(ids, leading)

    def gathered(self, axes: tuple[int, ...] | None = None) -> Field:
        """What the maps along these axes see together; along all when None. Lengths become 1."""
        if self.ids is None:
            return self
        axes = tuple(range(self.ids.ndim)) if axes is None else axes
        if self.ids.size == prod(self.ids.shape[axis] for axis in axes):  # all into one
            box = box_of_all(list(self.boxes))
            return Field((box,)) if box else WHOLE
        kept = tuple(1 if axis in axes else n for axis, n in enumerate(self.ids.shape))
        last = tuple(range(-len(axes), 0))
        groups = np.moveaxis(self.ids, axes, last).reshape(prod(kept), -1)
        return self.merged(groups, kept, lambda row: box_of_all(self._boxes_at(np.unique(row))))

    def merged(self, groups: Ids, leading: tuple[int, ...], merge: Merge) -> Field:
        """A field whose maps each come from several maps of this one.

        Args:
            groups: (maps, several), the ids that each map comes from.
            leading: shape of the new ids.
            merge: the box for such a row of ids; None for none, () where no box tells it.
        """
        distinct, home = np.unique(groups, axis=0, return_inverse=True)
        boxes = [merge(row) for row in distinct]
        if any(box == () for box in boxes):
            return WHOLE
        known = tuple(box for box in boxes if box)
        places = np.cumsum([box is not None for box in boxes]) - 1
        ids = np.where([box is None for box in boxes], _NONE, places)[home.reshape(-1)]
        return _tidy(known, ids.reshape(leading))

    def _boxes_at(self, ids: Ids) -> list[Box]:
        return [self.boxes[at] for at in ids if at >= 0]


WHOLE = Field(())
_NONE = -1


def united(fields: list[Field]) -> Field:
    """Map by map, what any of the fields sees; they broadcast as their tensors do."""
    return reduce(_united, fields) if len(fields) > 1 else fields[0]


def concatenated(parts: list[tuple[Field | None, tuple[int, ...]]], axis: int) -> Field:
    """Fields side by side along a leading axis, each with its tensor's shape without (H, W).

    A part without a field sees nothing of the picture.
    """
    first = parts[0][0]
    if first is not None and all(f is not None and f.boxes == first.boxes for f, _ in parts):
        same = all(f is not None and f.ids is None for f, _ in parts)
        if same:
            return first
    boxes: list[Box] = []
    ids = []
    for field, leading in parts:
        if field is None:
            ids.append(np.full(leading, _NONE))
            continue
        own = field.spread(leading)
        ids.append(np.where(own == _NONE, _NONE, own + len(boxes)))
        boxes += field.boxes
    return _tidy(tuple(boxes), np.concatenate(ids, axis))


def _united(a: Field, b: Field) -> Field:
    if a.whole or b.whole:
        return WHOLE
    if a.boxes == b.boxes and (a.ids is b.ids):
        return a
    if a.ids is b.ids is None:
        box = box_of_all([*a.boxes, *b.boxes])
        return Field((box,)) if box else WHOLE
    plain = np.zeros(1, int)
    places = [plain if f.ids is None else np.where(f.ids < 0, len(f.boxes), f.ids) for f in (a, b)]
    left, right = np.broadcast_arrays(*places)
    pairs, home = np.unique(left * (len(b.boxes) + 1) + right, return_inverse=True)
    boxes: dict[Box, int] = {}
    ids = np.full(len(pairs), _NONE)
    for at, pair in enumerate(pairs):
        i, j = divmod(int(pair), len(b.boxes) + 1)
        box = box_of_all([*a.boxes[i : i + 1], *b.boxes[j : j + 1]])
        if box == ():
            return WHOLE
        if box:
            ids[at] = boxes.setdefault(box, len(boxes))
    return _tidy(tuple(boxes), ids[home.reshape(left.shape)])


def box_of_all(boxes: list[Box]) -> Box | tuple[()] | None:
    """The box around all of them; None for none, () where their steps differ."""
    if not boxes:
        return None
    around = boxes[0]
    for box in boxes[1:]:
        rows = around[0].joined(box[0])
        square = around[0] == around[1] and box[0] == box[1]
        columns = rows if square else around[1].joined(box[1])
        if rows is None or columns is None:
            return ()
        around = rows, columns
    return around


def _side(box: Box) -> float:
    rows, columns = box
    return rows.side if rows == columns else max(rows.side, columns.side)


def _tidy(boxes: tuple[Box, ...], ids: Ids) -> Field:
    """Equal boxes once, those that no map has left out."""
    used: dict[Box, int] = {}
    table = np.full(len(boxes) + 1, _NONE)  # the last place is that of -1
    for old in np.unique(ids):
        if old != _NONE:
            table[old] = used.setdefault(boxes[old], len(used))
    if len(used) == 1 and _NONE not in ids:
        return Field(tuple(used))
    return Field(tuple(used), table[ids])
