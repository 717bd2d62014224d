"""What oneDNN takes for the gradient of a convolution's weight, as read off its own allocations.

In bfloat16 it packs the weight in blocks of each group's channels, sums in float32, and turns a
picture and its output about, pixels for channels. Where it has no kernel it unfolds the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from convarium.trace.layouts import channels_last

BLOCK = 16  # channels
_FEWEST, _FEW = 3, 8  # channels that float32 has kernels of their own for
_TURNED_ROW = 32  # pixels: the rows of a turned picture are padded to it
_TURNED_BYTES = 32 * 1024  # beside the turned picture, about
_MOST_TURNED = 800 * 1024  # beyond it oneDNN turns a part at a time,
_TURNED_PART = 512 * 1024  # of about so many bytes
_WIDEST = 14  # taps in a row that a kernel of float32 has


class Call(NamedTuple):
    """A convolution that is not transposed: its operands, and the sides of its output."""

    x: Tensor
    weight: Tensor
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int
    side: Sequence[int]

    @property
    def is_half(self) -> bool:
        """bfloat16."""
        return self.x.dtype == torch.bfloat16

    @property
    def is_last(self) -> bool:
        """An operand has its channels last: the kernel takes maps as they lie."""
        return channels_last(self.x) or channels_last(self.weight)

    @property
    def is_depthwise(self) -> bool:
        """One input and one output channel a group."""
        return 1 < self.groups == self.weight.shape[0] and self.weight.shape[1] == 1

    @property
    def is_dilated(self) -> bool:
        """Its taps are apart along some axis."""
        return max(self.dilation) > 1

    @property
    def is_wide(self) -> bool:
        """Of a depthwise kernel: too wide, or the map too small, for oneDNN's own."""
        sides = zip(self.weight.shape[2:], self.x.shape[2:], strict=True)
        return any(k > 3 or k > n for k, n in sides)

    @property
    def few(self) -> int | None:
        """Input channels as float32's own kernel for few of them takes them, None for many.

        Up to three it takes where they lie (0), up to eight in blocks of eight.
        """
        inputs = self.weight.shape[1]
        if self.groups > 1 or self.is_half or inputs > _FEW:
            return None
        return 0 if inputs <= _FEWEST else _FEW

    @property
    def is_plain(self) -> bool:
        """Its weight is not packed: depthwise, or grouped in float32."""
        if self.is_depthwise:
            return not (self.is_last and self.is_wide)
        return self.groups > 1 and not self.is_half and not self.is_last


def packed_bytes(call: Call) -> int:
    """The weight's gradient in blocks of each group's channels."""
    weight, groups, size = call.weight, call.groups, call.x.element_size()
    if call.is_plain:
        return weight.numel() * size
    inputs = weight.shape[1]
    if call.few:
        return padded(weight.shape[0], _FEW) * _FEW * prod(weight.shape[2:]) * size
    if call.few is None and not call.is_half and groups == 1:
        inputs = padded(inputs)
    if call.is_half or groups > 1 or inputs >= BLOCK:
        inputs = padded(inputs, 2 * BLOCK if call.is_half and not call.is_depthwise else BLOCK)
    return groups * padded(weight.shape[0] // groups) * inputs * prod(weight.shape[2:]) * size


def sums_bytes(call: Call) -> int:
    """The sums in float32 of a bfloat16 gradient, over turned pictures, about; 0 in float32.

    With few input channels every thread takes pictures, and sums, of its own.
    """
    weight, groups = call.weight, call.groups
    if not call.is_half:
        return 0
    if call.is_plain:
        return 4 * weight.numel()
    outputs = groups * padded(weight.shape[0] // groups)
    whole = 4 * outputs * padded(weight.shape[1]) * prod(weight.shape[2:]) + _turned(call, outputs)
    alone = groups == 1 and call.x.shape[1] < 4 * BLOCK
    return whole * min(torch.get_num_threads(), call.x.shape[0]) if alone else whole


def _turned(call: Call, outputs: int) -> int:
    """One picture and its output of so many padded channels, in bfloat16."""
    x, weight = call.x, call.weight
    inputs, width, step = call.groups * padded(weight.shape[1]), x.shape[-1], call.stride[-1]
    if call.is_depthwise:
        width += 2 * call.padding[-1]
    elif weight.shape[-1] > 1 or step > 1:
        steps = -(-(width + 2 * call.padding[-1]) // step)
        width = step * padded(steps, _TURNED_ROW)
    whole = 2 * (inputs * prod(x.shape[2:-1]) * width + outputs * prod(call.side)) + _TURNED_BYTES
    many = x.shape[1] >= BLOCK or max(call.stride) == 1  # few, with steps, are turned at once
    in_parts = whole > _MOST_TURNED and call.groups == 1 and many
    return _TURNED_PART if in_parts else whole


def unfolded_bytes(call: Call) -> int:
    """What the gradient takes as a product with unfolded inputs, 0 where it is none.

    Each thread has a picture's columns, and weights in float32, about.
    """
    if not _has_no_kernel(call):
        return 0
    threads = min(torch.get_num_threads(), call.x.shape[0])
    columns = prod(call.weight.shape[1:]) * prod(call.side) * call.x.element_size()
    weights = 2 + 2 * threads if call.is_half else 4 * threads
    return 4 * weights * call.weight.numel() + threads * columns


def _has_no_kernel(call: Call) -> bool:
    kernel, outputs = call.weight.shape[2:], call.weight.shape[0] // call.groups
    if call.is_last:
        return False
    reach = [d * (k - 1) + 1 for d, k in zip(call.dilation, kernel, strict=True)]
    over = [r > n for r, n in zip(reach, call.x.shape[2:], strict=True)]
    if any(over) and call.is_dilated:  # a dilated kernel reaches over the map
        return True
    if call.is_depthwise:
        return call.is_wide or call.is_dilated
    deep = len(over) == 3 and over[0]
    uneven = call.groups > 1 and bool(outputs % 8 or call.weight.shape[1] % 8)
    spread = call.groups > 1 and call.is_dilated and bool(outputs % BLOCK)
    return not call.is_half and (deep or uneven or spread or kernel[-1] > _WIDEST)


def padded(channels: int, block: int = BLOCK) -> int:
    """The next whole number of blocks.

    >>> padded(3), padded(48, 32)
    (16, 64)
    """
    return -(-channels // block) * block
