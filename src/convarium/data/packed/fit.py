"""Packed pictures at the side that a network takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST = 3 / 4  # of the side: a smaller picture is enlarged, one from here on gets a border
_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow turns colour to grey
_BATCH = 4096


def has_border(found: int, side: int) -> bool:
    """True where a picture of `found` pixels is centred in `side` instead of enlarged.

    >>> has_border(28, 32), has_border(8, 32), has_border(32, 32)
    (True, False, False)
    """
    return LEAST * side <= found < side


def fit(pixels: Tensor, side: int, channels: int, *, border: bool = True) -> Tensor:
    """(N, C, H, W) -> (N, channels, side, side) uint8, from the middle square of each picture.

    A picture up to a quarter smaller than `side` is centred on a background of 0, as LeNet-5's
    paper has its 28 pixels in 32 (section II.B); any other is resized smoothly. Without `border`
    it is always resized.
    """
    height, width = pixels.shape[2:]
    found = min(height, width)
    top, left = (height - found) // 2, (width - found) // 2
    pixels = pixels[..., top : top + found, left : left + found]
    if pixels.shape[1] == 3 and channels == 1:
        weights = torch.tensor(_LUMA).view(1, 3, 1, 1)
        pixels = (pixels * weights).sum(1, keepdim=True).round_().to(torch.uint8)
    if border and has_border(found, side):
        before = (side - found) // 2
        after = side - found - before
        pixels = F.pad(pixels, (before, after, before, after))
    elif found != side:
        size = (side, side)
        smooth = F.interpolate(pixels.float(), size, mode="bilinear", antialias=True)
        pixels = smooth.round_().clamp_(0, 255).to(torch.uint8)
    return pixels.expand(-1, channels, -1, -1)


def fit_all(pixels: Tensor, side: int, channels: int, *, border: bool = True) -> Tensor:
    """`fit` in pieces, so that no more than a piece is ever held in float32."""
    parts = [fit(part, side, channels, border=border) for part in pixels.split(_BATCH)]
    return torch.cat(parts) if len(parts) > 1 else parts[0].contiguous()


@dataclass(frozen=True, slots=True)
class Fitted:
    """Pictures fitted whenever they are asked for: all of them would not fit into memory.

    `parts` are (M, C, H, W) uint8 each, one behind the other.
    """

    parts: tuple[Tensor, ...]
    side: int
    channels: int
    border: bool

    def read(self, indices: Tensor) -> Tensor:
        """(N, channels, side, side) uint8."""
        shape = (len(indices), *self.parts[0].shape[1:])
        pixels = torch.empty(shape, dtype=torch.uint8)
        start = 0
        for part in self.parts:
            here = (indices >= start) & (indices < start + len(part))
            pixels[here] = part[indices[here] - start]
            start += len(part)
        return fit(pixels, self.side, self.channels, border=self.border).contiguous()
