"""ResNeXt: Xie et al. 2017 (arXiv 1611.05431v2), Table 1 and appendix A.

    stage   output   ResNeXt-50 (32x4d)                           blocks
    conv1   112x112  7x7, 64, stride 2
    conv2   56x56    3x3 max pool, stride 2, then the blocks
    conv2   56x56    1x1, 128;  3x3, 128,  C=32; 1x1, 256         3
    conv3   28x28    1x1, 256;  3x3, 256,  C=32; 1x1, 512         4
    conv4   14x14    1x1, 512;  3x3, 512,  C=32; 1x1, 1024        6
    conv5   7x7      1x1, 1024; 3x3, 1024, C=32; 1x1, 2048        3
            1x1      global average pool, 1000-d fc, softmax

The block is form (c) of figure 3, grouped convolution; the paper counts its three forms equal.
"""

from __future__ import annotations

from torch import nn

from convarium.blocks.conv_bn import conv, he_normal
from convarium.blocks.residual import Block, Bottleneck, LayerTable, classifier, stages
from convarium.blocks.shortcut import make_shortcut
from convarium.nets.resnet import WIDTHS_OF_BOTTLENECK, ImageNetTable, repeats_of

WIDTHS_OF_CIFAR = (256, 512, 1024)  # channels that leave a stage at 32x32, 16x16, 8x8


class ResNeXt(ImageNetTable):
    """`depth` layers of cardinality C and bottleneck width d, written C x d d: 32x4d is 32 and 4.

    C * d channels enter the grouped 3x3 of conv2; every later stage doubles them (section 3.1).
    """

    def __init__(
        self,
        depth: int,
        cardinality: int,
        width: int,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
    ) -> None:
        super().__init__(
            _aggregated(cardinality, width),
            repeats_of(depth),
            WIDTHS_OF_BOTTLENECK,
            in_channels=in_channels,
            num_classes=num_classes,
        )


class ResNeXtCIFAR(LayerTable):
    """29 layers: conv1, three stages of three blocks, fc (appendix A; "ResNeXt-29, C x d d").

    The block is that of section 4; by the authors' readme an earlier version of the paper had
    pre-activated ones here.
    """

    def __init__(
        self, cardinality: int, width: int, *, in_channels: int = 3, num_classes: int = 10
    ) -> None:
        super().__init__(
            in_channels,
            conv1=conv(in_channels, 64, 3),  # (N, 64, 32, 32)
            bn1=nn.BatchNorm2d(64),
            relu1=nn.ReLU(),
            **stages(_aggregated(cardinality, width), 64, WIDTHS_OF_CIFAR, (3, 3, 3)),
            **classifier(WIDTHS_OF_CIFAR[-1], num_classes),  # of (N, 1024, 8, 8)
        )
        self.apply(he_normal)


def _aggregated(cardinality: int, width: int) -> Block:
    def block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        return Bottleneck(
            in_channels,
            cardinality * width * out_channels // WIDTHS_OF_BOTTLENECK[0],
            out_channels,
            strides=(1, stride),  # section 4: down-sampling in the 3x3 of a stage's first block
            groups=cardinality,
            shortcut=make_shortcut("B", in_channels, out_channels, stride),
        )

    return block
