"""Operators called again on tensors laid out alike: what they give is known from the first time.

Deep networks repeat a few dozen calls hundreds of times. Without values, what an operator gives
hangs on the layouts of its tensors and on its other arguments alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from convarium.trace.rows import Op
from convarium.trace.shapes import META

Args = tuple[Any, ...]
Layout = tuple[torch.Size, tuple[int, ...], torch.dtype]


class Repeats:
    """The calls of one trace of operators that repeat, see `Operator`, each kind of call once."""

    def __init__(self) -> None:
        self._met: dict[Args | None, list[_Call]] = {}

    def again(
        self, func: Any, args: Args, places: int
    ) -> tuple[Op, list[Tensor], list[Tensor], Any] | None:
        """A call as it was written down the first time; None for a first time.

        Args:
            func: the operator.
            args: all of its arguments, with no others by name.
            places: how many of them may be tensors, the first ones.

        Returns:
            The call; the tensors among its arguments; its new outputs, in a list and as it gives
            them.
        """
        used = [t for t in args[:places] if t is not None]
        for call in self._met.get(_key(func, args, used), ()):
            if call.rest == args[places:]:
                if call.layouts is None:
                    return call.op, used, [args[0]], args[0]
                new = [
                    torch.empty_strided(shape, strides, dtype=kind, device=META)
                    for shape, strides, kind in call.layouts
                ]
                return call.op, used, new, new[0] if call.alone else tuple(new)
        return None

    def keep(self, func: Any, args: Args, places: int, op: Op, out: Any) -> None:
        """Keeps a call on the meta device that made new tensors, or gave its first argument."""
        key, first = _key(func, args, [t for t in args[:places] if t is not None]), out is args[0]
        if key is None or (op.in_place and not first):
            return
        alone = isinstance(out, Tensor)
        outputs = [out] if alone else out
        layouts = None if first else [(t.shape, t.stride(), t.dtype) for t in outputs]
        call = _Call(args[places:], op, layouts, alone)
        self._met.setdefault(key, []).append(call)


class _Call(NamedTuple):
    """`rest` are the arguments behind those that may be tensors.

    `layouts` are those of its outputs, None where it gives its first argument back; `alone` says
    that it gives one tensor, and no tuple.
    """

    rest: Args
    op: Op
    layouts: list[Layout] | None
    alone: bool


def _key(func: Any, args: Args, used: list[Any]) -> Args | None:
    """What calls that give the same have in common, but for numbers: layouts, and all types.

    None where a number stands for a tensor, or a tensor has no strides, as a sparse one.
    """
    try:
        layouts = [(t.shape, t.stride(), t.dtype, t.is_meta) for t in used]
    except (AttributeError, RuntimeError):
        return None
    flags = [t.requires_grad for t in used] if torch.is_grad_enabled() else ()
    return (id(func), *map(type, args), *layouts, *flags)
