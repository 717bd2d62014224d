"""Pre-activation residual units, of PreAct ResNet and Wide ResNet."""

from __future__ import annotations

from torch import Tensor, nn

from convarium.blocks.conv_bn import conv


class PreActivation(nn.Module):
    """y = shortcut(x) + F(a) with a = relu(BN(x)) (PreAct ResNet, figure 1b and equation 8).

    Where `shares_activation` holds, the shortcut takes a instead of x. The appendix wants that of
    projections, and of the first unit of a network.
    """

    shortcut: nn.Module  # the subclass sets it last: weights are listed in the usual order

    def __init__(self, in_channels: int, shortcut: nn.Module) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.shares_activation = isinstance(shortcut, nn.Conv2d)

    def residual(self, a: Tensor) -> Tensor:
        """F(a), before the addition."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        a = self.relu1(self.bn1(x))
        return self.shortcut(a if self.shares_activation else x) + self.residual(a)


class PreActBasicBlock(PreActivation):
    """BN-ReLU-3x3, BN-ReLU-3x3, with dropout before the second 3x3 where the rate is not 0."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        shortcut: nn.Module,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_channels, shortcut)
        self.conv1 = conv(in_channels, out_channels, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()
        self.drop = nn.Dropout(dropout) if dropout else None
        self.conv2 = conv(out_channels, out_channels, 3)
        self.shortcut = shortcut

    def residual(self, a: Tensor) -> Tensor:
        x = self.relu2(self.bn2(self.conv1(a)))
        return self.conv2(x if self.drop is None else self.drop(x))


class PreActBottleneck(PreActivation):
    """BN-ReLU-1x1, BN-ReLU-3x3, BN-ReLU-1x1; the stride stands in the first 1x1."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, *, shortcut: nn.Module
    ) -> None:
        super().__init__(in_channels, shortcut)
        inner = out_channels // 4
        self.conv1 = conv(in_channels, inner, 1, stride=stride)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU()
        self.conv2 = conv(inner, inner, 3)
        self.bn3 = nn.BatchNorm2d(inner)
        self.relu3 = nn.ReLU()
        self.conv3 = conv(inner, out_channels, 1)
        self.shortcut = shortcut

    def residual(self, a: Tensor) -> Tensor:
        x = self.conv1(a)
        x = self.conv2(self.relu2(self.bn2(x)))
        return self.conv3(self.relu3(self.bn3(x)))


def bare_projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A 1x1 convolution where the shape changes, without batch normalisation; else the identity."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return conv(in_channels, out_channels, 1, stride=stride)
