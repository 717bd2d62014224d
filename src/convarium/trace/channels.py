"""Receptive fields behind operators that join, move, take or mix whole maps of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

from convarium.trace.boxes import WHOLE, Field, Given, Ids, Shape, box_of_all, concatenated, united


def fitting(field: Field, shape: Shape) -> Field:
    """The field for an output of this shape, of which no rule tells which map comes where."""
    if field.ids is None:
        return field
    pairs = zip(reversed(field.ids.shape), reversed(shape[:-2]), strict=False)
    fits = field.ids.ndim <= len(shape) - 2 and all(a in (1, b) for a, b in pairs)
    return field if fits else field.gathered()


def _cat(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    axis = _axis(args[1] if len(args) > 1 else 0, len(shape))
    if axis >= len(shape) - 2:
        return WHOLE
    return concatenated([(field, was[:-2]) for field, was in given if len(was) > 1], axis)


def _stack(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    axis = _axis(args[1] if len(args) > 1 else 0, len(shape))
    if axis >= len(shape) - 2:
        return WHOLE
    parts: Given = []
    for field, was in given:
        leading = (*was[:-2][:axis], 1, *was[:-2][axis:])
        if field is not None and field.ids is not None:
            ids = np.expand_dims(field.spread(was[:-2]), axis)
            parts.append((Field(field.boxes, ids), leading))
        else:
            parts.append((field, leading))
    return concatenated(parts, axis)


def _slice(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    field, was = given[0]
    axis = _axis(args[1] if len(args) > 1 else 0, len(shape))
    start = (args[2] if len(args) > 2 else 0) or 0
    step = args[4] if len(args) > 4 else 1
    if field is None:
        return WHOLE
    start = max(0, start + was[axis] if start < 0 else min(start, was[axis]))
    if axis >= len(shape) - 2:
        cut = axis - (len(shape) - 2)
        return field.each(
            lambda reach, side: reach.window(1, step, pad=-start) if side == cut else reach
        )
    return _taken(field, was, axis, range(start, start + shape[axis] * step, step))


def _select(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    field, was = given[0]
    axis = _axis(args[1], len(was))
    if field is None or axis >= len(was) - 2:
        return WHOLE
    return _taken(field, was, axis, args[2])


def _reshape(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    field, was = given[0]
    if field is None or len(shape) < 3 or shape[-2:] != was[-2:]:
        return WHOLE
    return field.arranged(lambda ids: _full(ids, was).reshape(shape[:-2]))


def _permute(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    was = len(given[0][1])
    return _reordered(given, [_axis(axis, was) for axis in args[1]])


def _transpose(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    order = list(range(len(shape)))
    a, b = (_axis(axis, len(shape)) for axis in args[1:3])
    order[a], order[b] = order[b], order[a]
    return _reordered(given, order)


def _reordered(given: Given, order: list[int]) -> Field:
    field, was = given[0]
    if field is None or order[-2:] != [len(was) - 2, len(was) - 1]:
        return WHOLE
    return field.arranged(lambda ids: _full(ids, was).transpose(order[:-2]))


def _shuffle(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    field, was = given[0]
    if field is None or len(was) != 4:
        return WHOLE
    return field.arranged(
        lambda ids: _full(ids, was).reshape(was[0], args[1], -1).swapaxes(1, 2).reshape(shape[:-2])
    )


def _reduce(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """Over maps: what they see together. Over rows or columns: the whole picture."""
    field, was = given[0]
    over = args[1] if len(args) > 1 and not isinstance(args[1], bool) else None
    axes = [_axis(a, len(was)) for a in ([over] if isinstance(over, int) else over or ())]
    if field is None or not axes or max(axes) >= len(was) - 2:
        return WHOLE
    if field.ids is None:
        return field
    taken = _together(field, was, *axes)
    return taken.arranged(lambda ids: ids.reshape(shape[:-2]))


def _norm(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    return _reduce((args[0], *args[2:]), given, shape)  # its order stands before its axes


def _mixed(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """Each map of the output sees what all along one axis of the maps see."""
    return _mixed_along(args[1] if len(args) > 1 else -1, given)


def _largest(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    return _mixed_along(args[2] if len(args) > 2 else -1, given)


def _mixed_along(axis: Any, given: Given) -> Field:
    field, was = given[0]
    if field is None or not isinstance(axis, int) or _axis(axis, len(was)) >= len(was) - 2:
        return WHOLE
    choosers = [other.gathered() for other, _ in given[1:] if other is not None]
    return united([_together(field, was, _axis(axis, len(was))), *choosers])


def _chosen(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """By tensors of indices, one an axis: which map comes where, a trace cannot tell."""
    field, was = given[0]
    axes = [axis for axis, index in enumerate(args[1]) if index is not None]
    if field is None or any(other is not None for other, _ in given[1:]):
        return WHOLE
    if not axes or max(axes) >= len(was) - 2 or shape[-2:] != was[-2:]:
        return WHOLE
    return field.gathered()


def _cumulated(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """Each map sees what those up to it see."""
    field, was = given[0]
    axis = _axis(args[1], len(was))
    if field is None or axis >= len(was) - 2:
        return WHOLE
    if field.ids is None:
        return field
    maps = [_taken(field, was, axis, range(at, at + 1)) for at in range(was[axis])]
    one = (*was[:axis], 1, *was[axis + 1 : -2])
    return concatenated(
        [(upto, one) for upto in accumulate(maps, lambda a, b: united([a, b]))], axis
    )


def _roll(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    shifts, axes = (_listed(value) for value in (*args[1:], [])[:2])
    axes = [_axis(axis, len(shape)) for axis in axes]
    return _moved(given, axes, lambda ids: np.roll(ids, shifts, axes))


def _flip(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    axes = [_axis(axis, len(shape)) for axis in _listed(args[1])]
    return _moved(given, axes, lambda ids: np.flip(ids, tuple(axes)))


def _moved(given: Given, axes: list[int], change: Callable[[Ids], Ids]) -> Field:
    """Maps that change places; rows and columns that do are seen from everywhere."""
    field, was = given[0]
    if field is None or not axes or max(axes) >= len(was) - 2:
        return WHOLE
    return field.arranged(lambda ids: change(_full(ids, was)))


def _repeat(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    field, was = given[0]
    if field is None or list(args[1][-2:]) != [1, 1]:
        return WHOLE
    return field.arranged(lambda ids: np.tile(_full(ids, was), args[1][:-2]))


def _glu(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """The first half of the maps by gates out of the second."""
    field, was = given[0]
    axis = _axis(args[1] if len(args) > 1 else -1, len(was))
    if field is None or axis >= len(was) - 2:
        return WHOLE
    half = was[axis] // 2
    return united([_taken(field, was, axis, range(at, at + half)) for at in (0, half)])


def _split(args: tuple[Any, ...], was: Shape, field: Field) -> list[Field]:
    axis = _axis(args[2] if len(args) > 2 else 0, len(was))
    size = args[1]
    sizes = size if isinstance(size, (list, tuple)) else _sizes(was[axis], size)
    if axis >= len(was) - 2:
        return [WHOLE] * len(sizes)
    ends = accumulate(sizes)
    return [_taken(field, was, axis, range(to - n, to)) for to, n in zip(ends, sizes, strict=True)]


def _unbind(args: tuple[Any, ...], was: Shape, field: Field) -> list[Field]:
    axis = _axis(args[1] if len(args) > 1 else 0, len(was))
    if axis >= len(was) - 2:
        return [WHOLE] * was[axis]
    return [_taken(field, was, axis, at) for at in range(was[axis])]


def _taken(field: Field, was: Shape, axis: int, places: int | range) -> Field:
    """The maps at these places of a leading axis; the axis goes where it is one place."""
    at = places if isinstance(places, int) else list(places)
    return field.arranged(lambda ids: np.take(_full(ids, was), at, axis))


def _together(field: Field, was: Shape, *axes: int) -> Field:
    """What the maps along these axes see together; the axes stay, of length 1."""
    return field if field.ids is None else Field(field.boxes, field.spread(was[:-2])).gathered(axes)


def windows(field: Field, was: Shape, places: Ids) -> Field:
    """Each map sees what a window along the last axis of the maps sees.

    Args:
        field: of a tensor of shape `was`.
        was: (..., C, H, W).
        places: (maps, several) along that axis; those outside of it hold nothing.
    """
    if field.ids is None:
        return field
    ids = field.spread(was[:-2])
    inside = (places >= 0) & (places < was[-3])
    taken = np.where(inside, ids[..., np.where(inside, places, 0)], -1)
    groups = taken.reshape(-1, places.shape[1])
    return field.merged(
        groups, taken.shape[:-1], lambda row: box_of_all([field.boxes[n] for n in row if n >= 0])
    )


def _full(ids: Any, was: Shape) -> Any:
    return np.broadcast_to(ids, was[:-2])


def _sizes(length: int, size: int) -> list[int]:
    return [min(size, length - at) for at in range(0, length, size)]


def _listed(value: Any) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def _axis(axis: int, dims: int) -> int:
    return axis % dims


RULES: dict[str, Callable[[tuple[Any, ...], Given, Shape], Field]] = {
    "cat": _cat,
    "stack": _stack,
    "slice": _slice,
    "select": _select,
    "permute": _permute,
    "transpose": _transpose,
    "channel_shuffle": _shuffle,
    "native_channel_shuffle": _shuffle,
    "roll": _roll,
    "flip": _flip,
    "repeat": _repeat,
    "glu": _glu,
    "index": _chosen,
    "topk": _largest,
    **dict.fromkeys(("norm", "linalg_vector_norm"), _norm),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze"), _reshape),
    **dict.fromkeys(
        "mean sum amax amin max min prod var std logsumexp argmax argmin".split(), _reduce
    ),
    **dict.fromkeys("_softmax _log_softmax _safe_softmax sort index_select gather".split(), _mixed),
    **dict.fromkeys("cumsum cumprod cummax cummin logcumsumexp".split(), _cumulated),
}
PARTS: dict[str, Callable[[tuple[Any, ...], Shape, Field], list[Field]]] = {
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split", "chunk"), _split),
    "unbind": _unbind,
}
