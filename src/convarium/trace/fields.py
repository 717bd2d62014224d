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
from convarium.trace.written import Views

_IS_WHOLE = attrgetter("whole")
_PIXEL = Field(((Reach(), Reach()),))


class FieldMap:
    """The receptive field of every tensor that the picture has a part in."""

    def __init__(self, inputs: Iterable[Tensor]) -> None:
        self._fields = {id(x): _PIXEL if x.dim() == 4 else WHOLE for x in inputs}
        self._views = Views(self._fields, _through)
        self._keeps: dict[int, bool] = {}  # of a call, by its identity

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
    ) -> None:
        """Writes down the fields of one operator's outputs.

        Args:
            op: the operator's call.
            specs: those of the tensors among its arguments, as they came in.
            sources: their identities, in order; the caller keeps all tensors and calls alive.
            outputs: the identities of those it gave.
        """
        if op.nature == "view" and sources:
            self._views.add(op, specs, sources[0], outputs)
        fields = list(map(self._fields.get, sources))
        met = list(filter(None, fields))
        if not met:
            for key in outputs:
                self._fields.pop(key, None)
        elif met == fields[:1] and met[0].ids is None and self._is_kept(op, specs):
            self._fields.update(dict.fromkeys(outputs, met[0]))
        elif op.in_place:
            self._write(op, specs, fields, sources, outputs)
        elif len(outputs) == 1 and op.name not in _SPECIAL:
            whole = any(map(_IS_WHOLE, met))
            self._fields[outputs[0]] = WHOLE if whole else _after(op, fields, met, specs)
        else:
            for key, field in zip(outputs, _behind(op, fields, specs), strict=True):
                self._views.keep(key, field)

    def _write(
        self,
        op: Op,
        specs: Sequence[TensorSpec],
        fields: Sequence[Field | None],
        sources: Sequence[int],
        outputs: Sequence[int],
    ) -> None:
        """The same of an operator that writes into one of its arguments."""
        for key, out, field in zip(outputs, op.outputs, _behind(op, fields, specs), strict=True):
            if key in sources:
                self._views.write(key, out.shape, field)
            else:
                self._views.keep(key, field)
        if "::" in op.name:  # someone's own: it may write into any of these
            for key, old, spec in zip(sources, fields, specs, strict=True):
                if old is not None:
                    self._views.write(key, spec.shape, WHOLE)

    def _is_kept(self, op: Op, specs: Sequence[TensorSpec]) -> bool:
        """Whether the field of its first tensor alone is that of its outputs: found out once."""
        known = self._keeps.get(id(op))
        if known is None:
            known = self._keeps[id(op)] = _keeps_field(op, specs)
        return known


def _keeps_field(op: Op, specs: Sequence[TensorSpec]) -> bool:
    """Whether an output pixel sees what that of the first tensor does, where its maps see alike."""
    if op.name == "convolution":
        weight, _, stride, pad = op.args[1:5]
        return len(weight.shape) == 4 and {*weight.shape[2:], *stride} == {1} and not any(pad)
    ruled = op.name in _RULES or op.name in _SPECIAL or "::" in op.name
    if ruled or not op.outputs or not _stays(op):
        return False
    shape = op.outputs[0].shape
    return len(shape) > 2 and specs[0].shape[-2:] == shape[-2:]


def _stays(op: Op) -> bool:
    """Whether every value stays in its place."""
    return op.nature == "pointwise" or op.name in _STAYS


def _through(op: Op, specs: Sequence[TensorSpec], field: Field | None) -> list[Field | None]:
    """The fields behind a view of one tensor."""
    return _behind(op, [field, *[None] * (len(specs) - 1)], specs)


def _behind(
    op: Op, fields: Sequence[Field | None], specs: Sequence[TensorSpec]
) -> list[Field | None]:
    """The fields of an operator's outputs; None for one that the picture has no part in.

    Args:
        op: the operator's call.
        fields: those of the tensors among its arguments.
        specs: likewise.
    """
    if op.name in _OVERWRITES:  # what stood there before has no say
        fields = [None, *fields[1:]]
    met = [field for field in fields if field is not None]
    if not met or op.name in _SHAPED:
        return [None] * len(op.outputs)
    if any(map(_IS_WHOLE, met)):
        return [WHOLE] * len(op.outputs)
    if op.name in channels.PARTS:
        return list(channels.PARTS[op.name](op.args, specs[0].shape, met[0]))
    return [_after(op, fields, met, specs)] * len(op.outputs) if op.outputs else []


def _after(
    op: Op, fields: Sequence[Field | None], met: list[Field], specs: Sequence[TensorSpec]
) -> Field:
    """The field behind one operator, WHOLE where its output has no rows and columns any more.

    It is WHOLE too where nobody told what the operator does with rows and columns.

    Args:
        op: the operator's call.
        fields: those of its tensors; none is WHOLE.
        met: the ones that there are.
        specs: those of all its tensors.
    """
    shape, rule = op.outputs[0].shape, _RULES.get(op.name)
    if rule is not None:
        return rule(op.args, [(f, s.shape) for f, s in zip(fields, specs, strict=True)], shape)
    if len(shape) < 3 or not _stays(op):
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
    field = given[0][0]
    if field is None or len(shape) != 4:
        return WHOLE
    numbers = _window(args, 2)
    return field.each(lambda reach, axis: reach.window(*(values[axis] for values in numbers)))


def _pool_over_maps(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """Of a map of maps: the window along their axis takes several together."""
    field, was = given[0]
    if field is None or len(shape) != 5:
        return WHOLE
    numbers = _window(args, 3)
    kernel, stride, dilation, pad = (values[0] for values in numbers)
    starts = np.arange(shape[-3])[:, None] * stride - pad
    taken = channels.windows(field, was, starts + np.arange(kernel) * dilation)
    return taken.each(lambda reach, axis: reach.window(*(values[axis + 1] for values in numbers)))


def _window(args: tuple[Any, ...], axes: int) -> list[tuple[int, ...]]:
    """Kernel, stride, dilation and padding of a pool; averages have no dilation."""
    kernel = _many(args[1], axes)
    stride = _many(args[2], axes) if len(args) > 2 and args[2] else kernel
    pad = _many(args[3], axes) if len(args) > 3 else (0,) * axes
    is_max = len(args) > 4 and not isinstance(args[4], bool)
    dilation = _many(args[4], axes) if is_max else (1,) * axes
    return [kernel, stride, dilation, pad]


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
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool2d", "avg_pool2d"), _pool),
    **dict.fromkeys(("max_pool3d_with_indices", "avg_pool3d"), _pool_over_maps),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive_pool),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _pad),
}
# Operators that torch does not call pointwise, and that leave every value in its place; what they
# reduce are the statistics of a normalisation.
_STAYS = frozenset(
    """
    clone copy _to_copy detach alias expand lift lift_fresh lift_fresh_copy contiguous _pin_memory
    abs gelu mish hardswish threshold prelu _prelu_kernel rrelu_with_noise log_sigmoid_forward
    rsub floor_divide gcd lcm copysign heaviside complex polar lerp _add_relu
    eq ne ge gt le lt masked_fill where tril triu _masked_scale
    mse_loss smooth_l1_loss huber_loss soft_margin_loss
    binary_cross_entropy binary_cross_entropy_with_logits
    native_dropout dropout bernoulli
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
    _native_batch_norm_legit_functional _batch_norm_with_update _batch_norm_with_update_functional
    _batch_norm_no_update cudnn_batch_norm miopen_batch_norm
    native_layer_norm native_group_norm rms_norm _fused_rms_norm
    quantize_per_tensor quantize_per_channel quantize_per_tensor_dynamic dequantize
    fake_quantize_per_tensor_affine fake_quantize_per_tensor_affine_cachemask
    fake_quantize_per_channel_affine fake_quantize_per_channel_affine_cachemask
    """.split()
)
_OVERWRITES = frozenset(("copy", "fill", "zero"))
# Only the shape of their argument counts.
_SHAPED = frozenset(
    """
    zeros_like ones_like full_like empty_like rand_like randn_like randint_like
    new_zeros new_ones new_full new_empty new_empty_strided
    """.split()
)
_SPECIAL = _OVERWRITES | _SHAPED | channels.PARTS.keys()
