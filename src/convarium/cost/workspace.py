"""What torch's CPU kernels allocate and give back within one call, which no dispatch shows.

Convolutions dominate. oneDNN copies input, weight and output into layouts of its own, and these
copies come from torch's allocator; torch's own kernel unfolds the input into columns. The layouts
are those of oneDNN on a CPU with AVX-512: 16 channels a block in float32, channels last in bfloat16
with AMX. See docs/decisions/0006-memory-ledger.md for how far each holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

_BLOCK = 16  # channels
_REDUCTION_BYTES = 96 * 1024  # a thread's share of oneDNN's bfloat16 weight gradient, about


def cpu_workspace(name: str, args: tuple[Any, ...], out: Any) -> int:
    """Most bytes that live within a call beyond those before it, its outputs included.

    Args:
        name: of the operator.
        args: its arguments.
        out: its outputs.
    """
    if name == "convolution":
        return _forward(_read(args[0], args[1], args[3:9]), _bytes(out))
    if name == "convolution_backward":
        conv = _read(args[1], args[2], [*args[4:7], *args[7:10]], args[0])
        return _backward(conv, out)
    if name in ("addmm", "mm", "bmm"):
        return _matrix(name, args, out)
    return 0


class _Conv(NamedTuple):
    """A convolution's tensors in oneDNN's layouts, in bytes; `columns` is that of torch's kernel.

    `x`, `weight`, `y` are 0 where no copy is made. `lasts`: the input has its channels last, in
    float32 too. `blocks` are then the bytes of a depthwise weight with a block by a block of
    channels for each group, which its gradient takes beyond 3 x 3 taps.
    """

    x: int
    weight: int
    y: int
    x_for_weight: int
    columns: int | None
    half: bool
    strided: bool
    lasts: bool = False
    blocks: int = 0


def _read(x: Tensor, weight: Tensor, rest: Sequence[Any], y: Tensor | None = None) -> _Conv:
    """`rest` is stride, padding, dilation, transposed, output padding, groups."""
    stride, padding, dilation, transposed, _, groups = rest
    half = x.dtype == torch.bfloat16
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    size, inputs = x.element_size(), x.shape[1]
    lasts = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    lasts = lasts and not x.is_contiguous()
    wide = groups == inputs == outputs > 1 and max(weight.shape[2:]) > 3
    side = y.shape[2:] if y is not None else _sides(x, weight, stride, padding, dilation)
    if not half and not _takes_onednn(x, weight, stride, dilation, groups):
        taps = prod(weight.shape[1:])
        plain = prod(weight.shape[2:]) == 1 and set(stride) == {1} and set(padding) == {0}
        columns = 0 if plain else x.shape[0] * taps * prod(side) * size
        return _Conv(0, 0, 0, 0, columns, False, False, lasts)
    blocked = not half and (groups == 1 or groups == inputs == outputs)
    in_block = _padded(inputs) if blocked else inputs
    out_block = _padded(outputs) if blocked else outputs
    pixels, y_pixels = x.shape[0] * prod(x.shape[2:]), x.shape[0] * prod(side)
    first = not half and inputs < _BLOCK
    return _Conv(
        x=0 if first else pixels * in_block * size,
        weight=_weight_copy(weight, groups, first, blocked or half) * size,
        y=y_pixels * out_block * size,
        x_for_weight=0 if inputs in (1, 3) and not half else pixels * in_block * size,
        columns=None,
        half=half,
        strided=max(stride) > 1 and groups == 1,
        lasts=lasts and groups == 1,
        blocks=4 * groups * _BLOCK**2 * prod(weight.shape[2:]) if lasts and wide else 0,
    )


def _sides(
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    axes = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes]


def _weight_copy(weight: Tensor, groups: int, first: bool, blocked: bool) -> int:
    """Values of a weight in oneDNN's blocks: output channels, and inputs but for the first."""
    taps = prod(weight.shape[2:])
    if groups > 1:
        depthwise = weight.shape[1] == 1 and blocked
        return (_padded(weight.shape[0]) if depthwise else weight.shape[0] * weight.shape[1]) * taps
    inputs = weight.shape[1] if first else _padded(weight.shape[1])
    return _padded(weight.shape[0]) * inputs * taps


def _takes_onednn(
    x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int], groups: int
) -> bool:
    """torch's own choice in float32 (`use_mkldnn` in aten/src/ATen/native/Convolution.cpp)."""
    kernel = weight.shape[2:]
    special = max(stride) > 1 or max(dilation) > 1 or x.shape[0] >= 16
    threads = torch.get_num_threads() > 1
    large = groups > 1 or min(kernel) > 3 or x.shape[0] > 1 or x.numel() > 20480
    return (special or max(kernel) > 1 or threads) and large


def _forward(conv: _Conv, y: int) -> int:
    if conv.columns is not None:
        return y + conv.columns
    # Copies of the operands, then the output out of its own copy (twice over from channels last).
    return max(conv.x + conv.weight + conv.y, conv.y + y + (y if conv.half else 0))


def _backward(conv: _Conv, out: Sequence[Tensor | None]) -> int:
    gx, gw = (_bytes(t) if t is not None else 0 for t in out[:2])
    if conv.columns is not None:
        return gx + gw * (2 if conv.lasts else 1) + conv.columns
    most = 0
    if gx:
        copies = 3 if conv.half or conv.strided else 2
        most = max(conv.y + conv.weight + max(conv.x, gx), copies * gx)
    if gw:
        inner = conv.y + conv.x_for_weight + conv.weight + _reduction(conv)
        most = max(most, gx + inner, gx + conv.weight + gw)
        if conv.lasts:  # the weight and its gradient in both layouts
            both = 0 if conv.half else gx + conv.y + 2 * (conv.weight + gw)
            most = max(most, gx + inner + conv.weight, both)
        if conv.blocks:
            most = max(most, conv.blocks * (3 if conv.half else 2) // 2 + gx + conv.y + 2 * gw)
    return most


def _reduction(conv: _Conv) -> int:
    """oneDNN sums a bfloat16 weight gradient in float32."""
    return 2 * conv.weight + torch.get_num_threads() * _REDUCTION_BYTES if conv.half else 0


def _matrix(name: str, args: tuple[Any, ...], out: Any) -> int:
    return 0


def _bytes(value: Tensor) -> int:
    return value.element_size() * value.numel()


def _padded(channels: int) -> int:
    return -(-channels // _BLOCK) * _BLOCK
