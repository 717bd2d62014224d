"""Receptive fields of all tensors of a trace, carried from operator to operator.

Statistics of normalisations are left out, as is customary: batch norm adds nothing to a field.
Borders are left out too: a field is that of a map far from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from torch import Tensor

from convarium.trace import channels, resizes
from convarium.trace.boxes import WHOLE, Field, Given, Shape, united
from convarium.trace.reach import Reach
from convarium.trace.rows import Op, TensorSpec

_IS_WHOLE = attrgetter("whole")
_PIXEL = Field(((Reach(), Reach()),))


class FieldMap:
    """The receptive field of every tensor that the picture has a part in."""

    def __init__(self, inputs: Iterable[Tensor]) -> None:
        self._fields = {id(x): _PIXEL if x.dim() == 4 else WHOLE for x in inputs}
        self._through: dict[int, bool] = {}  # of a call, by its identity

    def of(self, tensor: Tensor) -> Field | None:
        """The field of `tensor`; None where it sees the whole picture or nothing of it."""
        field = self._fields.get(id(tensor))
        return field if field is not None and field.boxes else None

    def apart(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Those of these that the picture has no part in."""
        return [t for t in tensors if id(t) not in self._fields]

    def carry(
        self,
        op: Op,
        specs: Sequence[TensorSpec],
        sources: Sequence[int],
        outputs: Sequence[int],
    ) -> bool:
        """Writes down the fields of one operator's outputs; says whether the picture is in them.

        Args:
            op: the operator's call.
            specs: those of the tensors among its arguments, as they came in.
            sources: their identities, in order; the caller keeps all tensors and calls alive.
            outputs: the identities of those it gave.
        """
        fields = list(map(self._fields.get, sources))
        met = list(filter(None, fields))
        if not met:
            for key in outputs:
                self._fields.pop(key, None)
            return False
        if met == fields[:1] and met[0].ids is None and self._passes(op, specs):
            self._fields.update(dict.fromkeys(outputs, met[0]))
        elif op.name in channels.PARTS and not any(map(_IS_WHOLE, met)):
            parts = channels.PARTS[op.name](op.args, specs[0].shape, met[0])
            self._fields.update(zip(outputs, parts, strict=True))
        elif outputs:
            field = _after(op, fields, met, specs)
            self._fields.update(dict.fromkeys(outputs, field))
        return True

    def _passes(self, op: Op, specs: Sequence[TensorSpec]) -> bool:
        """Whether the field of its first tensor alone is that of its outputs: found out once."""
        known = self._through.get(id(op))
        if known is None:
            known = self._through[id(op)] = _keeps_field(op, specs)
        return known


def _keeps_field(op: Op, specs: Sequence[TensorSpec]) -> bool:
    """Whether an output pixel sees what that of the first tensor does, where its maps see alike."""
    if op.name == "convolution":
        weight, _, stride, pad = op.args[1:5]
        return len(weight.shape) == 4 and {*weight.shape[2:], *stride} == {1} and not any(pad)
    if not op.outputs or op.name in _RULES or op.name in channels.PARTS or op.name in _MIXES:
        return False
    shape = op.outputs[0].shape
    return len(shape) > 2 and specs[0].shape[-2:] == shape[-2:]


def _after(
    op: Op, fields: list[Field | None], met: list[Field], specs: Sequence[TensorSpec]
) -> Field:
    """The field behind one operator, WHOLE where its output has no rows and columns any more.

    Args:
        op: the operator's call.
        fields: those of its tensors.
        met: the ones that there are.
        specs: those of all its tensors.
    """
    if any(map(_IS_WHOLE, met)):
        return WHOLE
    shape, rule = op.outputs[0].shape, _RULES.get(op.name)
    if rule is not None:
        return rule(op.args, [(f, s.shape) for f, s in zip(fields, specs, strict=True)], shape)
    if len(shape) < 3 or op.name in _MIXES:
        return WHOLE
    sides = shape[-2:]
    for field, spec in zip(fields, specs, strict=True):
        if field is not None and spec.shape[-2:] != sides:
            return WHOLE
    return united([channels.fitting(field, shape) for field in met])


def _convolution(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    field, weight = given[0][0], args[1]
    if field is None or len(weight.shape) != 4:
        return WHOLE
    stride, pad, dilation = (_many(value, 2) for value in args[3:6])
    transposed, groups = args[6], args[8]
    kernel = weight.shape[2:]

    def change(reach: Reach, axis: int) -> Reach:
        numbers = kernel[axis], stride[axis], dilation[axis], pad[axis]
        return reach.scatter(*numbers) if transposed else reach.window(*numbers)

    return _by_group(field, given[0][1][-3], shape[-3], groups).each(change)


def _by_group(field: Field, channels: int, out_channels: int, groups: int) -> Field:
    """What each output channel takes together: all input channels of its group."""
    if field.ids is None:
        return field
    ids = field.spread((*field.ids.shape[:-1], channels))
    grouped = field.arranged(lambda _: ids.reshape(*ids.shape[:-1], groups, -1))
    if grouped.ids is None:
        return grouped
    taken = grouped.gathered((grouped.ids.ndim - 1,))
    each = out_channels // groups
    return taken.arranged(lambda ids: np.repeat(ids[..., 0], each, axis=-1))


def _pool(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    field, axes = given[0][0], len(shape) - 2 if len(shape) < 5 else 3
    if field is None or len(shape) not in (4, 5):
        return WHOLE
    kernel = _many(args[1], axes)
    stride = _many(args[2], axes) if len(args) > 2 and args[2] else kernel
    pad = _many(args[3], axes) if len(args) > 3 else (0,) * axes
    is_max = len(args) > 4 and not isinstance(args[4], bool)
    dilation = _many(args[4], axes) if is_max else (1,) * axes
    if axes == 3:  # a map of maps: the window along their axis takes several together
        field = field.gathered()
    numbers = [list(values)[-2:] for values in (kernel, stride, dilation, pad)]
    return field.each(lambda reach, axis: reach.window(*(values[axis] for values in numbers)))


def _adaptive_pool(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """Equal windows where the sides divide; one window over everything sees the whole picture."""
    field, was = given[0]
    sides = [divmod(a, b) for a, b in zip(was[-2:], shape[-2:], strict=True)]
    if field is None or shape[-2:] == (1, 1) or any(rest for _, rest in sides):
        return WHOLE
    return field.each(lambda reach, axis: reach.window(sides[axis][0], sides[axis][0]))


def _pad(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """Pads count from the last axis back: (left, right, top, bottom, maps before, after, ...)."""
    field, was = given[0]
    if field is None or len(shape) < 3:
        return WHOLE
    pads = [*args[1], *(0, 0, 0, 0)][: max(4, len(args[1]))]
    moved = field.each(lambda reach, axis: reach.window(1, pad=pads[2 - 2 * axis]))
    maps = list(zip(pads[4::2], pads[5::2], strict=True))
    if not any(map(any, maps)):
        return moved
    width = [*[(0, 0)] * (len(was) - 2 - len(maps)), *reversed(maps)]
    more = [(max(0, before), max(0, after)) for before, after in width]
    kept = [
        slice(max(0, -before), n + min(0, after))
        for n, (before, after) in zip(was, width, strict=False)
    ]
    ids = moved.spread(was[:-2])
    padded = np.pad(ids[tuple(kept)], more, constant_values=-1)
    return Field(moved.boxes, padded).arranged(lambda ids: ids)


def _many(value: Any, axes: int) -> tuple[int, ...]:
    values = [value] if isinstance(value, int) else list(value)
    return tuple(values) if len(values) == axes else (values[0],) * axes


_RULES: dict[str, Callable[[tuple[Any, ...], Given, Shape], Field]] = {
    **channels.RULES,
    **resizes.RULES,
    "convolution": _convolution,
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool2d", "avg_pool2d", "avg_pool3d"), _pool),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive_pool),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _pad),
}
_KINDS = "flash_attention_for_cpu flash_attention efficient_attention attention_math".split()
_ATTENDS = [f"_scaled_dot_product_{kind}" for kind in _KINDS]
# Their outputs may have the rows and columns of an input, but mix all of them.
_MIXES = frozenset("mm addmm bmm baddbmm linear grid_sampler_2d _fft_c2c".split()) | {*_ATTENDS}
