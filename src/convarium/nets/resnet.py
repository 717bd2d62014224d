"""ResNet and plain networks: He et al. 2015 (arXiv 1512.03385v1), Table 1.

    layer     output   18-layer   34-layer   50-layer        101-layer   152-layer
    conv1     112x112  7x7, 64, stride 2
    conv2_x   56x56    3x3 max pool, stride 2, then the blocks
    conv2_x   56x56    3x3, 64 twice         1x1, 64;  3x3, 64;  1x1, 256
    conv3_x   28x28    3x3, 128 twice        1x1, 128; 3x3, 128; 1x1, 512
    conv4_x   14x14    3x3, 256 twice        1x1, 256; 3x3, 256; 1x1, 1024
    conv5_x   7x7      3x3, 512 twice        1x1, 512; 3x3, 512; 1x1, 2048
              1x1      average pool, 1000-d fc, softmax

The softmax is left to the loss: the networks give logits.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from convarium.blocks.conv_bn import conv, he_normal
from convarium.blocks.residual import (
    BasicBlock,
    Block,
    Bottleneck,
    LayerTable,
    classifier,
    stages,
)
from convarium.blocks.shortcut import make_shortcut
from convarium.errors import unknown_name

TABLE_1 = {  # depth: blocks of conv2_x, conv3_x, conv4_x, conv5_x
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
WIDTHS_OF_BASIC = (64, 128, 256, 512)  # channels that leave a stage of 18 and 34 layers
WIDTHS_OF_BOTTLENECK = (256, 512, 1024, 2048)  # of 50 layers and more


class ImageNetTable(LayerTable):
    """The frame of Table 1: conv1, max pool, conv2_x .. conv5_x, average pool, fc."""

    def __init__(
        self,
        block: Block,
        repeats: Sequence[int],
        widths: Sequence[int],
        *,
        in_channels: int,
        num_classes: int,
    ) -> None:
        super().__init__(
            in_channels,
            conv1=conv(in_channels, 64, 7, stride=2),  # (N, 64, 112, 112)
            bn1=nn.BatchNorm2d(64),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, stride=2, padding=1),  # (N, 64, 56, 56)
            **stages(block, 64, widths, repeats),  # (N, 512 or 2048, 7, 7)
            **classifier(widths[-1], num_classes),
        )
        # Section 3.4: the initialisation of [13]. Paper silent: that of fc; the same.
        self.apply(he_normal)


class ResNet(ImageNetTable):
    """One column of Table 1, with the shortcuts of section 3.3 under option "A", "B" or "C".

    "none" gives the plain network (figure 3, middle). From 50 layers on, stride 2 stands in the
    first 1x1 of a block, as in the authors' released models; the paper's table leaves it open.
    """

    def __init__(
        self, depth: int, shortcut: str = "B", *, in_channels: int = 3, num_classes: int = 1000
    ) -> None:
        repeats = repeats_of(depth)
        block = _basic(shortcut) if depth < 50 else bottleneck(shortcut, stride_in_3x3=False)
        widths = WIDTHS_OF_BASIC if depth < 50 else WIDTHS_OF_BOTTLENECK
        super().__init__(block, repeats, widths, in_channels=in_channels, num_classes=num_classes)


class ResNetV15(ImageNetTable):
    """Not in the paper: 50, 101 or 152 layers with stride 2 in the 3x3 of a block, option B."""

    def __init__(self, depth: int, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__(
            bottleneck("B", stride_in_3x3=True),
            repeats_of(depth),
            WIDTHS_OF_BOTTLENECK,
            in_channels=in_channels,
            num_classes=num_classes,
        )


def repeats_of(depth: int) -> tuple[int, int, int, int]:
    """Blocks of conv2_x .. conv5_x in the column of `depth` layers.

    Raises:
        UsageError: Table 1 has no such column.
    """
    if depth not in TABLE_1:
        raise unknown_name("column of Table 1", str(depth), map(str, TABLE_1))
    return TABLE_1[depth]


def bottleneck(option: str, *, stride_in_3x3: bool) -> Block:
    """Blocks of 1x1, 3x3 and 1x1, the inner two a quarter as wide as the output."""

    def block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        return Bottleneck(
            in_channels,
            out_channels // 4,
            out_channels,
            strides=(1, stride) if stride_in_3x3 else (stride, 1),
            shortcut=make_shortcut(option, in_channels, out_channels, stride),
        )

    return block


def _basic(option: str) -> Block:
    def block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        shortcut = make_shortcut(option, in_channels, out_channels, stride)
        return BasicBlock(in_channels, out_channels, stride, shortcut=shortcut)

    return block
