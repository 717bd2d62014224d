"""Output shapes of the operators that deep networks call most, without torch's own shape rules.

On the meta device torch infers shapes in Python, slowly for most but matrix products. These rules
give the same outputs in a fraction of the time; any case they do not cover goes to torch, and so
does every case that is wrong: refusing it is torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

META = torch.device("meta")
Args = tuple[Any, ...]


def shortcut(name: str, func: Any, args: Args, kwargs: dict[str, Any]) -> Any:
    """What `func` would give on the meta device, or None when no rule here covers the call.

    Args:
        name: of the operator.
        func: the operator.
        args: its arguments; the first tensor among them, if any, is on the meta device.
        kwargs: likewise.
    """
    if name in _POINTWISE:
        return None if "out" in kwargs else _pointwise(func, args)
    if name in _LIKE:
        return _like(args[0], kwargs)
    if name == "empty":
        return _new(args, kwargs)
    rule = _RULES.get(name)
    return None if rule is None or kwargs else rule(args)


_POINTWISE = frozenset(
    """
    relu relu6 hardtanh silu gelu sigmoid tanh hardswish hardsigmoid leaky_relu add mul
    sub div pow neg exp sqrt rsqrt abs
    threshold_backward gelu_backward silu_backward sigmoid_backward tanh_backward
    hardswish_backward hardsigmoid_backward
    """.split()
)


_LIKE = frozenset(("empty_like", "ones_like", "zeros_like"))


def empty_like(x: Tensor) -> Tensor:
    """As torch's own on the meta device, which takes fifty times as long."""
    if x.is_contiguous():
        return _empty(x.shape, x.dtype)
    return torch.empty_like(x, device=META)


def _empty(shape: Sequence[int], kind: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=kind, device=META)


def _like(x: Tensor, kwargs: dict[str, Any]) -> Tensor | None:
    layout, device = kwargs.get("memory_format"), kwargs.get("device")
    plain = layout in (None, torch.preserve_format, torch.contiguous_format)
    here = device is None or torch.device(device).type == "meta"
    if not (plain and here and x.is_contiguous()) or kwargs.get("layout", x.layout) != x.layout:
        return None
    return _empty(x.shape, kwargs.get("dtype") or x.dtype)


def _new(args: Args, kwargs: dict[str, Any]) -> Tensor | None:
    """An empty row without a layout of its own, as batch norm makes one at every call."""
    device, kind = kwargs.get("device"), kwargs.get("dtype")
    plain = kwargs.keys() <= _PLACES and kwargs.get("layout", torch.strided) is torch.strided
    if kind is None or device != META or not plain or len(args) != 1 or len(args[0]) != 1:
        return None
    return torch.empty_strided(args[0], (1,), dtype=kind, device=META)


_PLACES = frozenset(("dtype", "layout", "device"))


def _pointwise(func: Any, args: Args) -> Tensor | None:
    """Of floats of one type: all of one layout, or spread over a plain one."""
    first = args[0]
    if not isinstance(first, Tensor) or not first.is_floating_point():
        return None
    large = first
    for other in args[1:]:
        if isinstance(other, Tensor):
            if other.dtype != first.dtype:
                return None
            if other.shape == large.shape and other.stride() == large.stride():
                continue
            large = max(large, other, key=lambda t: (t.is_contiguous(), t.numel(), t.dim()))
        elif not isinstance(other, (int, float, str)):
            return None
    if not all(_spreads(t, large) for t in args if isinstance(t, Tensor)):
        return None
    if func._schema.is_mutable:
        return first if first.shape == large.shape else None
    return empty_like(large)


def _spreads(small: Tensor, large: Tensor) -> bool:
    """Whether one tensor lies as another, or broadcasts to it without a say in the layout."""
    if small.shape == large.shape and small.stride() == large.stride():
        return True
    if small.dim() > large.dim() or not large.is_contiguous():
        return False
    sides = zip(small.shape, large.shape[large.dim() - small.dim() :], strict=True)
    plain = small.is_contiguous() or not any(small.stride())
    return plain and all(a in (1, b) for a, b in sides)


def _convolution(args: Args) -> Tensor | None:
    if len(args) != 9:
        return None
    x, weight, bias, stride, padding, dilation, transposed, _, groups = args
    shape, kernel = x.shape, weight.shape[2:]
    axes = len(kernel)
    alike = x.dtype == weight.dtype and (bias is None or bias.dtype == x.dtype)
    fits = len(shape) == axes + 2 and shape[1] == weight.shape[1] * groups
    fits = fits and weight.shape[0] % groups == 0
    whole = len(stride) == len(padding) == len(dilation) == axes
    if transposed or not (alike and fits and whole) or 0 in shape:
        return None
    sides = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(shape[2:], kernel, stride, padding, dilation, strict=True)
    ]
    if min(sides) < 1:
        return None
    return _empty((shape[0], weight.shape[0], *sides), x.dtype)


def _batch_norm(args: Args) -> tuple[Tensor, ...] | None:
    """Of x, weight, bias, running mean and variance, training, ...; its statistics are kept."""
    if not isinstance(args[5], bool):
        return None
    x, channels = args[0], args[0].shape[1] if args[5] else 0
    kind = (x if args[1] is None else args[1]).dtype  # of half a float, they are whole ones
    return empty_like(x), _empty((channels,), kind), _empty((channels,), kind)


def _layer_norm(args: Args) -> tuple[Tensor, ...] | None:
    x, axes = args[0], len(args[1])
    if x.dtype != torch.float32 or not x.is_contiguous() or x.shape[-axes:] != tuple(args[1]):
        return None
    if any(t is not None and t.dtype != x.dtype for t in args[2:4]):
        return None
    sums = (*x.shape[:-axes], *[1] * axes)
    return empty_like(x), _empty(sums, x.dtype), _empty(sums, x.dtype)


def _softmax(args: Args) -> Tensor | None:
    """Of x, axis, and whether halves become floats; or of x and axis."""
    x = args[0]
    plain = x.is_floating_point() and x.is_contiguous() and -x.dim() <= args[1] < x.dim()
    return empty_like(x) if plain and not any(args[2:]) else None


def _softmax_backward(args: Args) -> Tensor | None:
    """Of the gradient, the output, the axis and the type of the input."""
    grad, out = args[:2]
    plain = grad.is_contiguous() and out.is_contiguous()
    return empty_like(out) if plain and grad.dtype == out.dtype == args[3] else None


def _nll_loss(args: Args) -> tuple[Tensor, Tensor] | None:
    """Of x, labels, weight and a reduction, 0 for none."""
    kind = args[0].dtype
    return (_empty((), kind), _empty((), kind)) if len(args) > 3 and args[3] else None


def _max_pool(args: Args) -> tuple[Tensor, Tensor] | None:
    """Of x, kernel, stride, padding: whole windows alone, of a batch."""
    if len(args) not in (3, 4) or args[0].dim() != 4 or not args[0].is_contiguous():
        return None
    x, kernel, stride, padding = (*args, (0, 0))[:4]
    numbers = [(*values, *values)[:2] for values in (kernel, stride or kernel, padding)]
    pairs = list(zip(x.shape[2:], *numbers, strict=True))
    sides = [(n + 2 * p - k) // s + 1 for n, k, s, p in pairs]
    if min(sides) < 1 or 0 in x.shape or any(2 * p > k for _, k, _, p in pairs):
        return None
    shape = (*x.shape[:2], *sides)
    return _empty(shape, x.dtype), _empty(shape, torch.int64)


def _cat(args: Args) -> Tensor | None:
    parts, axis = args[0], args[1] if len(args) > 1 else 0
    first = parts[0]
    if not -first.dim() <= axis < first.dim():
        return None
    axis %= first.dim()
    rest = (*first.shape[:axis], *first.shape[axis + 1 :])
    for part in parts:
        if part.dim() != first.dim() or part.dtype != first.dtype or not part.is_contiguous():
            return None
        if (*part.shape[:axis], *part.shape[axis + 1 :]) != rest:
            return None
    whole = sum(part.shape[axis] for part in parts)
    return _empty((*first.shape[:axis], whole, *first.shape[axis + 1 :]), first.dtype)


def _reduce(args: Args) -> Tensor | None:
    """A mean or a sum of floats, over named axes or over all."""
    x, keep = args[0], len(args) > 2 and args[2]
    over = args[1] if len(args) > 1 else range(x.dim())
    if not over or not x.is_floating_point() or not x.is_contiguous():
        return None
    axes = {axis % x.dim() for axis in over if -x.dim() <= axis < x.dim()}
    if len(axes) != len(over):
        return None
    sides = enumerate(x.shape)
    return _empty([1 if at in axes else n for at, n in sides if keep or at not in axes], x.dtype)


def _expand(args: Args) -> Tensor | None:
    x, sides = args[0], args[1]
    new = len(sides) - x.dim()
    whole = new >= 0 and all(n in (-1, old) or old == 1 for n, old in _pairs(sides[new:], x))
    if not whole or any(n < 0 for n in sides[:new]):
        return None
    ends = zip(_pairs(sides[new:], x), x.stride(), strict=True)
    kept = [(old if n == -1 else n, stride if n in (-1, old) else 0) for (n, old), stride in ends]
    shape = (*sides[:new], *(n for n, _ in kept))
    return x.as_strided(shape, (*[0] * new, *(stride for _, stride in kept)))


def _pairs(sides: Sequence[int], x: Tensor) -> list[tuple[int, int]]:
    return list(zip(sides, x.shape, strict=True))


def _product(args: Args) -> Tensor | None:
    """A matrix, or a stack of them, times another; a bias that has a value a column is added."""
    bias, left, right = args if len(args) == 3 else (None, *args)
    rows, columns = left.shape[:-1], right.shape[-1:]
    plain = left.dim() == right.dim() and left.shape[:-2] == right.shape[:-2]
    if not plain or left.shape[-1] != right.shape[-2] or left.dtype != right.dtype:
        return None
    if bias is not None and (bias.shape != columns or bias.dtype != left.dtype):
        return None
    return _empty((*rows, *columns), left.dtype)


_RULES: dict[str, Callable[[Args], Any]] = {
    "convolution": _convolution,
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "native_layer_norm": _layer_norm,
    "max_pool2d_with_indices": _max_pool,
    "cat": _cat,
    "expand": _expand,
    "nll_loss_forward": _nll_loss,
    "nll_loss_backward": lambda args: empty_like(args[1]),
    **dict.fromkeys(("_softmax_backward_data", "_log_softmax_backward_data"), _softmax_backward),
    **dict.fromkeys(("mean", "sum"), _reduce),
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax"), _softmax),
    **dict.fromkeys(("mm", "bmm", "addmm"), _product),
}
# Rules whose outputs are new or the first argument, and that take no lists of tensors.
REPEATABLE = (_POINTWISE | _RULES.keys()) - {"cat", "expand"}
