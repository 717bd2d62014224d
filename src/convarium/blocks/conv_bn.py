"""Convolutions as networks with batch normalisation have them, and their initial values."""

from __future__ import annotations

from torch import nn


def conv(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A square convolution that keeps the size at stride 1, without bias.

    The batch normalisation behind it (or before the next one) subtracts the mean, so that a bias
    would train to nothing.

    Args:
        in_channels: of the map that comes in.
        out_channels: number of filters.
        kernel: side of the filter in pixels, odd.
        stride: step of the filter in pixels.
        groups: into how many groups the channels are split.
    """
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=False,
    )


def he_normal(module: nn.Module) -> None:
    """Draws weights from N(0, 2 / fan-in), sets biases to 0; for `Module.apply`.

    Source:
        He et al. 2015, Delving Deep into Rectifiers (arXiv 1502.01852), equation 10; the residual
        papers refer to it.
    """
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
