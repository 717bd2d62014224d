"""The shortcuts of residual networks: nothing, identity, zero-padded identity, projection."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from convarium.blocks.conv_bn import conv
from convarium.errors import UsageError


class Subsample(nn.Module):
    """Keeps every `stride`-th row and column, from the first: (N, C, H, W) -> (N, C, H/s, W/s)."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride]

    def extra_repr(self) -> str:
        return f"stride={self.stride}"


class PadChannels(nn.Module):
    """Adds maps of zeros: (N, C, H, W) -> (N, before + C + after, H, W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))

    def extra_repr(self) -> str:
        return f"before={self.before}, after={self.after}"


def make_shortcut(
    option: str, in_channels: int, out_channels: int, stride: int
) -> nn.Module | None:
    """The shortcut of one block under option "none", "A", "B" or "C".

    A pads with zeros where the shape changes, B projects there, C projects everywhere. Where the
    shape stays, A and B are the identity. "none" is a plain network's.

    Raises:
        UsageError: no such option.

    Source:
        ResNet, section 3.3 and Table 3.
    """
    changes = stride != 1 or in_channels != out_channels
    if option == "none":
        return None
    if option == "C" or (option == "B" and changes):
        return projection(in_channels, out_channels, stride)
    if option == "A" and changes:
        return zero_padded(in_channels, out_channels, stride)
    if option in ("A", "B"):
        return nn.Identity()
    raise UsageError(f"shortcut must be none, A, B or C, not {option!r}.")


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Option B's: a 1x1 convolution and batch normalisation."""
    return nn.Sequential(
        conv(in_channels, out_channels, 1, stride=stride), nn.BatchNorm2d(out_channels)
    )


def zero_padded(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Option A's: sub-sampling, and zeros for the channels that are missing. No weights.

    Paper silent: where the zeros stand. Half before and half after, as the common CIFAR
    implementations have it; any other order of the channels gives an equivalent network.
    """
    missing = out_channels - in_channels
    return nn.Sequential(Subsample(stride), PadChannels(missing // 2, missing - missing // 2))
