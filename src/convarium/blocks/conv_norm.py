"""A convolution without bias, batch normalisation and an activation, in this order."""

from __future__ import annotations

from torch import nn


class ConvNorm(nn.Sequential):
    """conv -> norm -> act; padding keeps the side at stride 1 and halves it at stride 2.

    Takes (N, in_channels, H, W), gives (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        act: nn.Module,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = act
