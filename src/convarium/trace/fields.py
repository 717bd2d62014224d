"""Receptive fields: how much of the input one output pixel sees, carried from op to op.

Source: r_l = r_(l-1) + (k_l - 1) * prod(strides before l), per axis, the largest over branches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Field:
    """Side and step of the receptive field on (vertical, horizontal) axes, in input pixels."""

    side: tuple[int, int] = (1, 1)
    step: tuple[int, int] = (1, 1)

    def window(
        self, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
    ) -> Field:
        """The field after a sliding window over two axes."""
        sides = [
            r + (k - 1) * d * s
            for r, k, d, s in zip(self.side, kernel, dilation, self.step, strict=True)
        ]
        steps = [s * t for s, t in zip(self.step, stride, strict=True)]
        return Field((sides[0], sides[1]), (steps[0], steps[1]))


class FieldMap:
    """The receptive field of every tensor met so far that still has rows and columns."""

    def __init__(self, inputs: Iterable[Tensor]) -> None:
        self._fields: dict[int, Field] = {}
        self._keep: list[Tensor] = []  # an id means one tensor while it lives
        for x in inputs:
            self._remember(x, Field() if x.dim() == 4 else None)

    def of(self, tensor: Tensor) -> Field | None:
        """The field of `tensor`, None where it has none."""
        return self._fields.get(id(tensor))

    def carry(
        self, name: str, specs: tuple[Any, ...], sources: Iterable[Any], outputs: Iterable[Tensor]
    ) -> None:
        """Writes down the field of one operator's outputs.

        Args:
            name: of the operator.
            specs: its arguments, tensors as specs.
            sources: the tensors among its arguments, other values are passed over.
            outputs: the tensors it gave.
        """
        met = [self._fields[id(t)] for t in sources if id(t) in self._fields]
        field = largest(met)
        for t in outputs:
            self._remember(t, field and after(name, specs, t.shape, field))

    def _remember(self, t: Tensor, field: Field | None) -> None:
        self._keep.append(t)
        if field is not None:
            self._fields[id(t)] = field
        else:
            self._fields.pop(id(t), None)


def largest(fields: Sequence[Field]) -> Field | None:
    """The field that covers all of `fields`; None for none."""
    if not fields:
        return None
    sides = [max(f.side[axis] for f in fields) for axis in (0, 1)]
    steps = [max(f.step[axis] for f in fields) for axis in (0, 1)]
    return Field((sides[0], sides[1]), (steps[0], steps[1]))


def after(name: str, args: tuple[Any, ...], shape: Sequence[int], field: Field) -> Field | None:
    """The field behind one operator, or None when its output has no rows and columns any more.

    Args:
        name: operator, such as "convolution".
        args: its arguments, tensors as specs.
        shape: shape of its first output.
        field: the largest field among its tensor inputs.
    """
    if name == "convolution":
        kernel, stride, dilation = args[1].shape[2:], args[3], args[5]
        return field.window(kernel, stride, dilation) if len(kernel) == 2 else None
    if name in _POOLS:
        kernel = _pair(args[1])
        stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
        dilation = _pair(args[4]) if name.startswith("max") and len(args) > 4 else (1, 1)
        return field.window(kernel, stride, dilation)
    if name == "slice" and len(args) > 4 and args[1] >= len(shape) - 2:
        axis = args[1] - (len(shape) - 2)
        step = [1, 1]
        step[axis] = args[4]
        return field.window((1, 1), step, (1, 1))
    if len(shape) != 4 or name in _GLOBAL or (tuple(shape[2:]) == (1, 1) and name == "mean"):
        return None
    return field


_POOLS = frozenset({"max_pool2d_with_indices", "max_pool2d", "avg_pool2d"})
_GLOBAL = frozenset({"_adaptive_avg_pool2d", "adaptive_max_pool2d", "mm", "addmm", "bmm"})


def _pair(value: Any) -> tuple[int, int]:
    values = [value] if isinstance(value, int) else list(value)
    return (values[0], values[-1])
