"""Stochastic depth: Huang et al. 2016 (arXiv 1603.09382v3), sections 3 and 4.

    data       network      blocks L                 p_L
    CIFAR      110 layers   18 + 18 + 18 = 54        0.5
    CIFAR-10   1202 layers  200 + 200 + 200 = 600    0.5
    SVHN       152 layers   25 + 25 + 25 = 75        0.5
    ImageNet   152 layers   3 + 8 + 36 + 3 = 50      0.5

In training, block l survives a mini-batch with p_l = 1 - l / L * (1 - p_L), equation 4; else only
its shortcut is computed. In testing every block counts with p_l, equation 5.
"""

from __future__ import annotations

from torch import Tensor, nn

from convarium.blocks.drop_path import is_recorded, refused_in_training, survives
from convarium.blocks.residual import BasicBlock, Bottleneck, Residual
from convarium.blocks.shortcut import PadChannels, make_shortcut
from convarium.nets.resnet import WIDTHS_OF_BOTTLENECK, ImageNetTable, repeats_of
from convarium.nets.resnet_cifar import FILTERS, CIFARTable, blocks_per_stage

LAST_SURVIVAL = 0.5  # p_L, section 4


class Surviving(Residual):
    """A residual block that survives a mini-batch of training with probability `survival`.

    A dropped block is not computed: its parameters get no gradient and its batch norms no
    statistics. DistributedDataParallel has to be told so (find_unused_parameters=True).
    """

    survival = 1.0

    def forward(self, x: Tensor) -> Tensor:
        assert self.shortcut is not None
        shortcut = self.shortcut(x)
        if not self.training:
            return self.relu(self.survival * self.residual(x) + shortcut)
        if self.survival < 1 and is_recorded(x):
            return self.relu(self.residual(refused_in_training(x, "stochastic depth")) + shortcut)
        if survives(self.survival):
            return self.relu(self.residual(x) + shortcut)
        # Section 3: behind a ReLU, H_{l-1} is not negative, and a block dropped is the identity.
        return x if isinstance(self.shortcut, nn.Identity) else self.relu(shortcut)


class SurvivingBasicBlock(Surviving, BasicBlock):
    """The basic block of ResNet, section 4.2."""


class SurvivingBottleneck(Surviving, Bottleneck):
    """The bottleneck of ResNet, figure 5."""


class StochasticDepthCIFAR(CIFARTable):
    """6n+2 layers on 32x32 pictures; average pooling and zeros where the shape changes."""

    def __init__(self, depth: int, *, in_channels: int = 3, num_classes: int = 10) -> None:
        n = blocks_per_stage(depth)
        super().__init__(_basic, n, FILTERS, in_channels=in_channels, num_classes=num_classes)
        decay_linearly(self)


class StochasticDepthImageNet(ImageNetTable):
    """The 152-layer ResNet of fb.resnet.torch: stride 2 in the 3x3, option B."""

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__(
            _bottleneck,
            repeats_of(152),
            WIDTHS_OF_BOTTLENECK,
            in_channels=in_channels,
            num_classes=num_classes,
        )
        decay_linearly(self)


def decay_linearly(network: nn.Module, last_survival: float = LAST_SURVIVAL) -> None:
    """Gives block l of L its p_l = 1 - l / L * (1 - p_L), l = 1 .. L (equation 4)."""
    blocks = [module for module in network.modules() if isinstance(module, Surviving)]
    for position, block in enumerate(blocks, start=1):
        block.survival = 1 - position / len(blocks) * (1 - last_survival)


def _basic(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    shortcut: nn.Module = nn.Identity()
    if in_channels != out_channels:
        # Paper silent: where the zeros stand. Behind the other maps, as in the authors' code.
        shortcut = nn.Sequential(
            nn.AvgPool2d(stride, ceil_mode=True), PadChannels(0, out_channels - in_channels)
        )
    return SurvivingBasicBlock(in_channels, out_channels, stride, shortcut=shortcut)


def _bottleneck(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return SurvivingBottleneck(
        in_channels,
        out_channels // 4,
        out_channels,
        strides=(1, stride),
        shortcut=make_shortcut("B", in_channels, out_channels, stride),
    )
