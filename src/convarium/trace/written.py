"""Receptive fields of tensors that are written in place, and of all that share their memory.

What is written into some maps of a tensor is found by sending numbered maps through the views that
lead there: `out[:, ::2] = y`, a channel shift, `torch.chunk(x, 2, 1)[0].add_(y)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from convarium.trace.boxes import WHOLE, Field, Ids, Shape
from convarium.trace.reach import Reach
from convarium.trace.rows import Op, TensorSpec

_APART = 1 << 40  # pixels between numbered maps: more than any cut of rows or columns
_BORDER = 8  # a strip of an eighth of the side at most is a border, which fields leave out


class View(NamedTuple):
    """One tensor over the memory of another: the `part`-th output of `op`."""

    source: int
    op: Op
    specs: Sequence[TensorSpec]
    part: int


# The field of each output of a view, from that of its source.
Through = Callable[[Op, Sequence[TensorSpec], "Field | None"], "list[Field | None]"]


class _Cut(NamedTuple):
    """Rows, or columns, that a view takes: every `step`-th from `start`, of `side` pixels."""

    start: int
    step: int
    length: int
    side: int

    @property
    def holds_middle(self) -> bool:
        """Whether all but borders is taken."""
        behind = self.side - self.start - self.length
        return self.step == 1 and max(self.start, behind) * _BORDER <= self.side

    @property
    def is_border(self) -> bool:
        """Whether nothing but one of the two borders is taken."""
        end = self.start + (self.length - 1) * self.step + 1
        return min(end, self.side - self.start) * _BORDER <= self.side


class Views:
    """Views by the identity of their tensor, the fields of all, and what writing changes.

    Args:
        fields: of all tensors by identity; kept up to date here when one is written.
        through: gives the fields behind a view.
    """

    def __init__(self, fields: dict[int, Field], through: Through) -> None:
        self._fields, self._through = fields, through
        self._views: dict[int, View] = {}
        self._over: dict[int, list[int]] = {}  # the views of a tensor

    def add(self, op: Op, specs: Sequence[TensorSpec], source: int, outputs: Sequence[int]) -> None:
        """Notes that `op` gave views of a tensor."""
        for part, key in enumerate(outputs):
            if key != source:
                self._views[key] = View(source, op, specs, part)
                self._over.setdefault(source, []).append(key)

    def keep(self, key: int, field: Field | None) -> None:
        """Notes a tensor's field."""
        if field is None:
            self._fields.pop(key, None)
        else:
            self._fields[key] = field

    def write(self, key: int, shape: Shape, field: Field | None) -> None:
        """A tensor of this shape now holds values of this field; None for constants."""
        if field is self._fields.get(key):
            return
        chain = self._chain(key)
        self.keep(key, field)
        root = key
        if chain:
            root, whole = chain[0].source, chain[0].specs[0].shape
            self.keep(root, self._merged(chain, shape, field, self._fields.get(root), whole))
        self._refresh(root, key)

    def _refresh(self, source: int, written: int) -> None:
        """Sees to all views of a tensor, but for the one that was written."""
        for key in self._over.get(source, ()):
            if key != written:
                view = self._views[key]
                behind = self._through(view.op, view.specs, self._fields.get(source))
                self.keep(key, behind[view.part])
            self._refresh(key, written)

    def _chain(self, key: int) -> list[View]:
        """The views from the tensor whose memory it is to this one."""
        chain: list[View] = []
        while key in self._views:
            chain.insert(0, self._views[key])
            key = chain[0].source
        return chain

    def _merged(
        self, chain: list[View], shape: Shape, new: Field | None, old: Field | None, whole: Shape
    ) -> Field | None:
        """The field of a tensor of shape `whole` behind a write into a view of it."""
        marked: Field | None = _numbered(whole)
        for view in chain:
            marked = self._through(view.op, view.specs, marked)[view.part]
        if marked is None or marked.whole:
            return WHOLE if new is not None else old
        maps, cuts = _places(marked, shape, whole)
        if any(cut.is_border for cut in cuts):
            return old
        if not all(cut.holds_middle for cut in cuts):
            return WHOLE if new is not None else old
        if len(np.unique(maps)) == prod(whole[:-2]):
            old = None  # nothing of it is left
        if any(field is not None and field.whole for field in (new, old)):
            return WHOLE
        return _replaced(old, whole[:-2], maps, new, cuts)


def _numbered(shape: Shape) -> Field:
    """A field that tells each map of a tensor by where it looks."""
    leading = shape[:-2]
    reaches = [Reach(1, ((at * _APART,) * 2,)) for at in range(prod(leading))]
    return Field(tuple((r, r) for r in reaches), np.arange(len(reaches)).reshape(leading))


def _places(marked: Field, shape: Shape, whole: Shape) -> tuple[Ids, list[_Cut]]:
    """Which map of the whole each map of a view is, and which rows and columns it has."""
    numbers = np.array([round(rows.spots[0][0] / _APART) for rows, _ in marked.boxes])
    cuts = []
    for axis, reach in enumerate(marked.boxes[0]):
        start = int(reach.spots[0][0]) - int(numbers[0]) * _APART
        cuts.append(_Cut(start, reach.span, shape[axis - 2], whole[axis - 2]))
    return numbers[marked.spread(shape[:-2])], cuts


def _replaced(
    old: Field | None, leading: Shape, maps: Ids, new: Field | None, cuts: list[_Cut]
) -> Field | None:
    """The old field with that of `new` at these maps, moved to where its pixels went."""
    boxes = old.boxes if old is not None else ()
    ids = np.full(leading, -1) if old is None else old.spread(leading).copy()
    if new is None:
        own = np.full(maps.shape, -1)
    else:
        moved = new.each(lambda reach, axis: reach.window(1, pad=cuts[axis].start))
        own = moved.spread(maps.shape)
        own = np.where(own < 0, own, own + len(boxes))
        boxes += moved.boxes
    ids.reshape(-1)[maps.reshape(-1)] = own.reshape(-1)
    return Field(boxes, ids).arranged(lambda ids: ids) if (ids >= 0).any() else None
