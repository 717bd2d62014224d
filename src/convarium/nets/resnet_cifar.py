"""ResNet and plain networks for CIFAR: He et al. 2015 (arXiv 1512.03385v1), section 4.2.

    output map size   32x32   16x16   8x8
    # layers          1+2n    2n      2n
    # filters         16      32      64

n = 3, 5, 7, 9, 18, 200 give the 20, 32, 44, 56, 110 and 1202 layers of Table 6.
"""

from __future__ import annotations

from torch import nn

from convarium.blocks.conv_bn import conv, he_normal
from convarium.blocks.residual import BasicBlock, Block, LayerTable, classifier, stages
from convarium.blocks.shortcut import make_shortcut
from convarium.errors import UsageError

FILTERS = (16, 32, 64)  # of conv2_x at 32x32, conv3_x at 16x16, conv4_x at 8x8


class CIFARTable(LayerTable):
    """The frame of section 4.2's table: conv1, three stages of blocks, average pooling, fc."""

    def __init__(
        self, block: Block, n: int, widths: tuple[int, ...], *, in_channels: int, num_classes: int
    ) -> None:
        first = FILTERS[0]
        super().__init__(
            in_channels,
            conv1=conv(in_channels, first, 3),  # (N, 16, 32, 32)
            bn1=nn.BatchNorm2d(first),
            relu1=nn.ReLU(),
            **stages(block, first, widths, (n, n, n)),  # (N, 64, 8, 8)
            **classifier(widths[-1], num_classes),
        )
        # Section 4.2: the initialisation of [13]. Paper silent: that of fc; the same.
        self.apply(he_normal)


class ResNetCIFAR(CIFARTable):
    """6n+2 layers, identity shortcuts in all cases: option A (section 4.2)."""

    def __init__(self, depth: int, *, in_channels: int = 3, num_classes: int = 10) -> None:
        n = blocks_per_stage(depth)
        super().__init__(_block("A"), n, FILTERS, in_channels=in_channels, num_classes=num_classes)


class PlainCIFAR(CIFARTable):
    """The same 6n+2 layers without shortcuts."""

    def __init__(self, depth: int, *, in_channels: int = 3, num_classes: int = 10) -> None:
        n = blocks_per_stage(depth)
        block = _block("none")
        super().__init__(block, n, FILTERS, in_channels=in_channels, num_classes=num_classes)


def blocks_per_stage(depth: int) -> int:
    """n of depth = 6n+2: conv1, 2n convolutions in each of the three stages, and fc.

    Raises:
        UsageError: no n gives that depth.

    >>> blocks_per_stage(20)
    3
    """
    if depth < 8 or depth % 6 != 2:
        raise UsageError(f"depth must be 6n+2, such as 20 or 56, not {depth}.")
    return (depth - 2) // 6


def _block(option: str) -> Block:
    def block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        shortcut = make_shortcut(option, in_channels, out_channels, stride)
        return BasicBlock(in_channels, out_channels, stride, shortcut=shortcut)

    return block
