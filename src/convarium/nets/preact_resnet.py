"""PreAct ResNet: He et al. 2016 (arXiv 1603.05027v3), figure 1b, Tables 2-5 and the appendix.

    CIFAR, units of each stage      32x32                 16x16                 8x8
    ResNet-110    3 x 18 units      3x3,16; 3x3,16        3x3,32; 3x3,32        3x3,64; 3x3,64
    ResNet-164    3 x 18 units      1x1,16; 3x3,16;       1x1,32; 3x3,32;       1x1,64; 3x3,64;
    ResNet-1001   3 x 111 units     1x1,64                1x1,128               1x1,256

    ImageNet, the units of ResNet, Table 1, conv2_x .. conv5_x
    ResNet-152    3, 8, 36, 3       bottleneck
    ResNet-200    3, 24, 36, 3      bottleneck

BN and ReLU come before each convolution, and once more before the average pooling.
"""

from __future__ import annotations

from torch import nn

from convarium.blocks.conv_bn import conv, he_normal
from convarium.blocks.preact import (
    PreActBasicBlock,
    PreActBottleneck,
    PreActivation,
    bare_projection,
)
from convarium.blocks.residual import Block, LayerTable, classifier, stages
from convarium.blocks.shortcut import zero_padded
from convarium.errors import unknown_name
from convarium.nets.resnet import WIDTHS_OF_BASIC, WIDTHS_OF_BOTTLENECK

CIFAR = {  # depth: units of each stage, channels that leave each stage
    110: (18, (16, 32, 64)),
    164: (18, (64, 128, 256)),
    1001: (111, (64, 128, 256)),
}
IMAGENET = {  # depth: units of conv2_x .. conv5_x
    18: (2, 2, 2, 2),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}


class PreActTable(LayerTable):
    """The frame for CIFAR: conv1 with 16 filters, three stages, BN, ReLU, average pooling, fc."""

    def __init__(
        self, block: Block, n: int, widths: tuple[int, ...], *, in_channels: int, num_classes: int
    ) -> None:
        super().__init__(
            in_channels,
            conv1=conv(in_channels, 16, 3),  # (N, 16, 32, 32)
            **stages(block, 16, widths, (n, n, n)),  # (N, C, 8, 8)
            bn_last=nn.BatchNorm2d(widths[-1]),
            relu_last=nn.ReLU(),
            **classifier(widths[-1], num_classes),
        )
        self.apply(he_normal)


class PreActResNetCIFAR(PreActTable):
    """110, 164 or 1001 layers. The first unit of all activates before it splits (appendix)."""

    def __init__(self, depth: int, *, in_channels: int = 3, num_classes: int = 10) -> None:
        if depth not in CIFAR:
            raise unknown_name("PreAct ResNet for CIFAR", str(depth), map(str, CIFAR))
        n, widths = CIFAR[depth]
        block = _zero_padded_basic if depth == 110 else _bottleneck
        super().__init__(block, n, widths, in_channels=in_channels, num_classes=num_classes)
        first = self.get_submodule("conv2_x.conv2_1")
        assert isinstance(first, PreActivation)
        first.shares_activation = True


class PreActResNet(LayerTable):
    """18, 152 or 200 layers for ImageNet, with the stem of ResNet, Table 1.

    Paper silent: how the stem's max pooling and the first activation follow each other. BN and
    ReLU stand after conv1, and each unit has its own, the first one too.
    """

    def __init__(self, depth: int, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        if depth not in IMAGENET:
            raise unknown_name("PreAct ResNet for ImageNet", str(depth), map(str, IMAGENET))
        block = _projected_basic if depth < 50 else _bottleneck
        widths = WIDTHS_OF_BASIC if depth < 50 else WIDTHS_OF_BOTTLENECK
        super().__init__(
            in_channels,
            conv1=conv(in_channels, 64, 7, stride=2),  # (N, 64, 112, 112)
            bn1=nn.BatchNorm2d(64),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, stride=2, padding=1),  # (N, 64, 56, 56)
            **stages(block, 64, widths, IMAGENET[depth]),  # (N, 512 or 2048, 7, 7)
            bn_last=nn.BatchNorm2d(widths[-1]),
            relu_last=nn.ReLU(),
            **classifier(widths[-1], num_classes),
        )
        self.apply(he_normal)


def _zero_padded_basic(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    # Paper silent: what option A pads in a pre-activation network. x itself, so that the shortcut
    # stays free of any activation.
    same = in_channels == out_channels
    shortcut = nn.Identity() if same else zero_padded(in_channels, out_channels, stride)
    return PreActBasicBlock(in_channels, out_channels, stride, shortcut=shortcut)


def _projected_basic(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    shortcut = bare_projection(in_channels, out_channels, stride)
    return PreActBasicBlock(in_channels, out_channels, stride, shortcut=shortcut)


def _bottleneck(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    shortcut = bare_projection(in_channels, out_channels, stride)
    return PreActBottleneck(in_channels, out_channels, stride, shortcut=shortcut)
