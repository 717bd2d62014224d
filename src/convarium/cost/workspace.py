"""What torch's CPU kernels allocate and give back within one call, which no dispatch shows.

Convolutions dominate; `cost.scratch` has the other operators. oneDNN copies input, weight and
output into layouts of its own, and these copies come from torch's allocator; torch's own kernel
unfolds the input into columns. The layouts are those of oneDNN on a CPU with AVX-512: 16 channels a
block in float32, channels last in bfloat16 with AMX; maps that have their channels last are taken
as they lie. See docs/decisions/0006-memory-ledger.md for how far each holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from convarium.cost.attention import ATTENTION
from convarium.cost.scratch import SCRATCH
from convarium.cost.weight_gradients import (
    BLOCK,
    Call,
    packed_bytes,
    padded,
    sums_bytes,
    unfolded_bytes,
)
from convarium.trace.layouts import channels_last

_RULES = SCRATCH | ATTENTION


def cpu_workspace(name: str, args: tuple[Any, ...], out: Any) -> int:
    """Most bytes that live within a call beyond those before it, its outputs included.

    Args:
        name: of the operator.
        args: its arguments.
        out: its outputs.
    """
    if name == "convolution":
        return _straightened(args[0]) + _of_convolution(args, out)
    if name == "convolution_backward":
        return _straightened_for_gradients(*args[:3]) + _of_gradients(args, out)
    rule = _RULES.get(name)
    return rule(args, out) if rule else 0


def _of_convolution(args: tuple[Any, ...], out: Tensor) -> int:
    x, weight, _, *rest = args
    conv = _read(x, weight, rest)
    if rest[3]:
        return _forward_transposed(conv, x, weight, out, rest[0])
    return _forward(conv, out.nbytes)


def _of_gradients(args: tuple[Any, ...], out: Sequence[Tensor | None]) -> int:
    y, x, weight, _, *rest = args[:10]
    if not rest[3]:
        conv = _read(x, weight, rest, y)
        return (_backward_lasts if conv.lasts else _backward)(conv, out)
    # The gradient of a transposed convolution is the convolution that it turns about.
    conv = _read(y, weight, [*rest[:3], False, *rest[4:]], x)
    if conv.lasts:
        return _backward_lasts(conv, out)
    return max(_forward(conv, _size(out[0])), _backward_weight(conv, out))


class _Conv(NamedTuple):
    """A convolution's tensors in oneDNN's layouts, in bytes; `columns` is that of torch's kernel.

    `x`, `weight`, `y` are 0 where no copy is made; `x_blocks` and `weight_blocks` are those of the
    input's gradient, the `_for_weight` ones those of the weight's. `lasts`: an operand has its
    channels last, so that the kernel takes maps as they lie; `moved` are then the copies of the
    other operands into channels last. `packed` is the weight's gradient in blocks of each group's
    channels, `sums` what it takes in bfloat16; `product` what it takes where oneDNN unfolds the
    input instead, else 0. `alone`: depthwise and dilated, for which oneDNN has no kernel and takes
    maps as they lie.
    """

    x: int
    weight: int
    y: int
    x_blocks: int
    weight_blocks: int
    x_for_weight: int
    y_for_weight: int
    columns: int | None
    half: bool
    strided: bool
    lasts: bool = False
    moved: int = 0
    packed: int = 0
    sums: int = 0
    product: int = 0
    alone: bool = False


def _read(x: Tensor, weight: Tensor, rest: Sequence[Any], y: Tensor | None = None) -> _Conv:
    """`rest` is stride, padding, dilation, transposed, output padding, groups."""
    stride, padding, dilation, transposed, _, groups = rest
    half = _is_half(x)
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    size, inputs = x.element_size(), x.shape[1]
    lasts = channels_last(x) or channels_last(weight)
    side = y.shape[2:] if y is not None else _sides(x, weight, stride, padding, dilation)
    if not half and not _takes_onednn(x, weight, stride, dilation, groups):
        taps = prod(weight.shape[1:])
        plain = prod(weight.shape[2:]) == 1 and set(stride) == {1} and set(padding) == {0}
        columns = 0 if plain else x.shape[0] * taps * prod(side) * size
        return _Conv(0, 0, 0, 0, 0, 0, 0, columns, False, False, lasts)
    blocked = not half and (groups == 1 or groups == inputs == outputs)
    in_block = padded(inputs) if blocked else inputs
    out_block = padded(outputs) if blocked else outputs
    pixels, y_pixels = x.shape[0] * prod(x.shape[2:]), x.shape[0] * prod(side)
    first = not half and inputs < BLOCK
    copied = _weight_copy(weight, groups, first, blocked or half) * size
    call = Call(x, weight, stride, padding, dilation, groups, side)
    x_blocks, y_blocks = pixels * in_block * size, y_pixels * out_block * size
    few = call.few
    return _Conv(
        x=0 if first else x_blocks,
        weight=copied,
        y=y_blocks,
        x_blocks=x_blocks,
        weight_blocks=_weight_copy(weight, groups, False, blocked or half) * size,
        x_for_weight=few * pixels * size if few is not None else x_blocks,
        y_for_weight=y_pixels * padded(outputs, few) * size if few else y_blocks,
        columns=None,
        half=half,
        strided=max(stride) > 1 and groups == 1,
        lasts=lasts,
        moved=sum(_moved(t) for t in (x, weight, y) if t is not None) if lasts else 0,
        packed=packed_bytes(call),
        sums=sums_bytes(call),
        product=unfolded_bytes(call),
        alone=call.is_depthwise and call.is_dilated,
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
        return (padded(weight.shape[0]) if depthwise else weight.shape[0] * weight.shape[1]) * taps
    pairs = 2 if _is_half(weight) else 1  # of blocks, in bfloat16
    inputs = weight.shape[1] if first else padded(weight.shape[1], pairs * BLOCK)
    return padded(weight.shape[0]) * inputs * taps


def _takes_onednn(
    x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int], groups: int
) -> bool:
    """torch's own choice but in half floats (`use_mkldnn` in ATen's Convolution.cpp)."""
    if x.dtype != torch.float32:
        return False
    kernel = (1, *weight.shape[2:])[-2:]  # the last two axes of three; one axis is a row of two
    special = max(stride) > 1 or max(dilation) > 1 or x.shape[0] >= 16
    threads = torch.get_num_threads() > 1
    values = prod(x.shape[:4])  # of five axes, too
    large = groups > 1 or min(kernel) > 3 or x.shape[0] > 1 or values > 20480
    return (special or max(kernel) > 1 or threads) and large


def _forward(conv: _Conv, y: int) -> int:
    if conv.columns is not None:
        return y + conv.columns
    if conv.lasts:
        return conv.moved + y + conv.weight
    # Copies of the operands, then the output out of its own copy (twice over from channels last).
    return max(conv.x + conv.weight + conv.y, conv.y + y + (y if conv.half else 0))


def _forward_transposed(
    conv: _Conv, x: Tensor, weight: Tensor, y: Tensor, stride: Sequence[int]
) -> int:
    """With steps, maps in channels last: the output is moved out of them in two copies."""
    if conv.columns is not None:  # of a picture at a time, on the way back into the output
        return y.nbytes + prod(weight.shape[1:]) * prod(x.shape[2:]) * x.element_size()
    if conv.lasts:
        return conv.moved + y.nbytes + conv.weight
    if max(stride) > 1 or conv.half:
        return max(x.nbytes + conv.weight + y.nbytes, 3 * y.nbytes)
    blocks = y.nbytes // y.shape[1] * padded(y.shape[1])
    return max(conv.x + conv.weight + blocks, blocks + y.nbytes)


def _size(value: Tensor | None) -> int:
    return 0 if value is None else value.nbytes


def _backward(conv: _Conv, out: Sequence[Tensor | None]) -> int:
    gx, gw = _size(out[0]), _size(out[1])
    if conv.columns is not None:
        return gx + gw * (2 if conv.lasts else 1) + conv.columns
    most = 0
    if gx:
        copies = 3 if (conv.half or conv.strided) and not conv.alone else 2
        blocks = max(conv.x_blocks, gx)
        most = max(conv.y + conv.weight_blocks + blocks, blocks + (copies - 1) * gx)
    return max(most, _backward_weight(conv, out))


def _backward_weight(conv: _Conv, out: Sequence[Tensor | None]) -> int:
    gx, gw = _size(out[0]), _size(out[1])
    if conv.columns is not None:
        return gx + gw * (2 if conv.lasts else 1) + conv.columns
    if not gw:
        return 0
    inner = conv.y_for_weight + conv.x_for_weight + conv.packed + conv.sums
    if conv.product:
        inner = conv.weight + conv.product
    return gx + max(inner, conv.weight + gw)


def _backward_lasts(conv: _Conv, out: Sequence[Tensor | None]) -> int:
    gx, gw = _size(out[0]), _size(out[1])
    if conv.columns is not None:
        return gx + 2 * gw + conv.columns
    # The gradient of the weight is packed, then copied to its layout and out of it.
    most = conv.packed + max(conv.sums, 2 * gw)
    return conv.moved + gx + max(most, conv.weight)


def _moved(value: Tensor) -> int:
    """Bytes of a copy into channels last; one pixel, or one channel, lies so already."""
    plain = value.shape[1] == 1 or prod(value.shape[2:]) == 1
    return 0 if plain or channels_last(value) else value.nbytes


def _straightened(value: Tensor) -> int:
    """Bytes of a copy of a map that lies in neither layout, such as a part of the channels."""
    return 0 if value.is_contiguous() or channels_last(value) else value.nbytes


def _straightened_for_gradients(y: Tensor, x: Tensor, weight: Tensor) -> int:
    """Likewise of `x`; `y` follows the layout of the other two."""
    follows = y.is_contiguous() or channels_last(x) or channels_last(weight)
    return _straightened(x) + (0 if follows else y.nbytes)


def _is_half(value: Tensor) -> bool:
    return value.dtype in (torch.bfloat16, torch.float16)
