"""Output shapes of the operators that deep networks call most, without torch's own shape rules.

On the meta device torch infers shapes in Python, slowly for batch norm and element-wise work. These
rules give the same outputs in a fraction of the time; any case they do not cover goes to torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_SAME_AS_FIRST = frozenset(
    "relu relu6 hardtanh silu gelu sigmoid tanh hardswish hardsigmoid leaky_relu add mul".split()
)


def shortcut(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `func` would give on the meta device, or None when no rule here covers the call."""
    if name in _SAME_AS_FIRST:
        return _same_as_first(func, args, kwargs)
    if name in ("native_batch_norm", "_native_batch_norm_legit") and isinstance(args[5], bool):
        x, channels = args[0], args[0].shape[1] if args[5] else 0
        like = x if args[1] is None else args[1]  # of half a float, the statistics are whole ones
        return torch.empty_like(x), like.new_empty(channels), like.new_empty(channels)
    if _PRODUCTS.get(name) == len(args) and "out" not in kwargs:
        bias = args[0] if len(args) > 2 else None
        return _product(args[-2], args[-1], bias)
    return None


_PRODUCTS = {"mm": 2, "bmm": 2, "addmm": 3}  # arguments


def _product(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor | None:
    """A matrix, or a stack of them, times another; a bias that has a value a column is added."""
    rows, columns = left.shape[:-1], right.shape[-1:]
    plain = left.dim() == right.dim() and left.shape[:-2] == right.shape[:-2]
    if not plain or left.shape[-1] != right.shape[-2] or left.dtype != right.dtype:
        return None
    if bias is not None and (bias.shape != columns or bias.dtype != left.dtype):
        return None
    return left.new_empty((*rows, *columns))


def _same_as_first(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    first = args[0]
    if not isinstance(first, Tensor) or not first.is_floating_point() or "out" in kwargs:
        return None
    for other in args[1:]:
        plain = isinstance(other, (int, float))
        if not plain and not (isinstance(other, Tensor) and _alike(first, other)):
            return None
    return first if func._schema.is_mutable else torch.empty_like(first)


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.stride() == b.stride()
