"""Wide ResNet: Zagoruyko & Komodakis 2016 (arXiv 1605.07146v4), Table 1 and section 3.

    group      output   block type B(3, 3), N = (depth - 4) / 6
    conv1      32x32    3x3, 16
    conv2      32x32    3x3, 16 x k; 3x3, 16 x k     N times
    conv3      16x16    3x3, 32 x k; 3x3, 32 x k     N times
    conv4      8x8      3x3, 64 x k; 3x3, 64 x k     N times
    avg-pool   1x1      8x8

The units are pre-activated, BN-ReLU-conv; groups are named conv2_x .. conv4_x as in ResNet.
"""

from __future__ import annotations

from torch import nn

from convarium.blocks.preact import PreActBasicBlock, bare_projection
from convarium.blocks.residual import Block, Bottleneck
from convarium.blocks.shortcut import make_shortcut
from convarium.errors import UsageError
from convarium.nets.preact_resnet import PreActTable
from convarium.nets.resnet import WIDTHS_OF_BOTTLENECK, ImageNetTable, repeats_of

FILTERS = (16, 32, 64)  # of conv2, conv3, conv4 at k = 1


class WideResNet(PreActTable):
    """WRN-depth-k for CIFAR and SVHN.

    Args:
        depth: 6N+4 layers.
        widen: k, the factor on the filters of every 3x3 but the first.
        dropout: rate between the two convolutions of a block (section 2.4); the rows of Tables 4
            and 5 have none, Table 6 has 0.3, SVHN 0.4.
        in_channels: of the picture.
        num_classes: of the classifier.
    """

    def __init__(
        self,
        depth: int,
        widen: int,
        dropout: float = 0.0,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        widths = tuple(filters * widen for filters in FILTERS)
        n = blocks_per_group(depth)
        super().__init__(
            _wide(dropout), n, widths, in_channels=in_channels, num_classes=num_classes
        )


class WideBottleneckResNet(ImageNetTable):
    """WRN-50-2-bottleneck: ResNet-50 with the inner 3x3 twice as wide (section 3, Table 8)."""

    def __init__(self, depth: int, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__(
            _wide_bottleneck,
            repeats_of(depth),
            WIDTHS_OF_BOTTLENECK,
            in_channels=in_channels,
            num_classes=num_classes,
        )


def blocks_per_group(depth: int) -> int:
    """N of depth = 6N+4: conv1, 2N convolutions in each group, and three 1x1 projections.

    Raises:
        UsageError: no N gives that depth.

    >>> blocks_per_group(28)
    4
    """
    if depth < 10 or depth % 6 != 4:
        raise UsageError(f"depth must be 6N+4, such as 16 or 28, not {depth}.")
    return (depth - 4) // 6


def _wide(dropout: float) -> Block:
    def block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        return PreActBasicBlock(
            in_channels,
            out_channels,
            stride,
            shortcut=bare_projection(in_channels, out_channels, stride),
            dropout=dropout,
        )

    return block


def _wide_bottleneck(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    # Paper silent: which convolution has the stride. The 3x3, as in the code it was trained with.
    return Bottleneck(
        in_channels,
        out_channels // 2,
        out_channels,
        strides=(1, stride),
        shortcut=make_shortcut("B", in_channels, out_channels, stride),
    )
