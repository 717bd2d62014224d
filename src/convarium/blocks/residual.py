"""What the residual families build their tables from: two blocks, stages, and the frame."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from convarium.blocks.conv_bn import conv
from convarium.blocks.inputs import check_picture

Block = Callable[[int, int, int], nn.Module]  # of (in_channels, out_channels, stride)


class Residual(nn.Module):
    """y = relu(F(x) + shortcut(x)), F being `residual` (ResNet, equation 1 and figure 2).

    Without a shortcut it is a piece of a plain network: y = relu(F(x)).
    """

    shortcut: nn.Module | None
    relu: nn.Module

    def residual(self, x: Tensor) -> Tensor:
        """F(x), before the addition."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        y = self.residual(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.relu(y)


class BasicBlock(Residual):
    """3x3, 3x3 (ResNet, figure 5 left): (N, in, H, W) -> (N, out, H/stride, W/stride)."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, *, shortcut: nn.Module | None
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = conv(out_channels, out_channels, 3)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut
        self.relu = nn.ReLU()

    def residual(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(Residual):
    """1x1, 3x3, 1x1 (ResNet, figure 5 right).

    Args:
        in_channels: of x.
        inner: channels of the first 1x1 and of the 3x3.
        out_channels: of y.
        strides: of the first 1x1 and of the 3x3, in pixels.
        groups: of the 3x3, ResNeXt's cardinality.
        shortcut: from (N, in_channels, H, W) to the shape of y.
    """

    def __init__(
        self,
        in_channels: int,
        inner: int,
        out_channels: int,
        *,
        strides: tuple[int, int],
        groups: int = 1,
        shortcut: nn.Module | None,
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, inner, 1, stride=strides[0])
        self.bn1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU()
        self.conv2 = conv(inner, inner, 3, stride=strides[1], groups=groups)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU()
        self.conv3 = conv(inner, out_channels, 1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut
        self.relu = nn.ReLU()

    def residual(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class LayerTable(nn.Module):
    """Layers that run one after the other, under the names of a paper's table.

    Takes images (N, in_channels, H, W) float32 of any side, gives logits (N, num_classes).
    """

    def __init__(self, in_channels: int, **layers: nn.Module) -> None:
        super().__init__()
        self.in_channels = in_channels
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net=type(self).__name__, channels=self.in_channels, least=1)
        for layer in self.children():
            x = layer(x)
        return x  # (N, num_classes)


def stages(
    block: Block, in_channels: int, widths: Sequence[int], repeats: Sequence[int]
) -> dict[str, nn.Module]:
    """conv2_x, conv3_x ..: the blocks of each stage as conv2_1, conv2_2 ...

    Every stage but the first halves the map in its first block.

    Args:
        block: makes one block.
        in_channels: of the first stage.
        widths: channels that leave each stage.
        repeats: blocks of each stage.
    """
    made: dict[str, nn.Module] = {}
    for number, (width, repeat) in enumerate(zip(widths, repeats, strict=True), start=2):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(repeat):
            stride = 2 if i == 0 and number > 2 else 1
            blocks[f"conv{number}_{i + 1}"] = block(in_channels, width, stride)
            in_channels = width
        made[f"conv{number}_x"] = nn.Sequential(blocks)
    return made


def classifier(channels: int, num_classes: int) -> dict[str, nn.Module]:
    """Global average pooling and the fully connected layer: (N, C, H, W) -> (N, num_classes)."""
    return {
        "avgpool": nn.AdaptiveAvgPool2d(1),  # (N, C, 1, 1)
        "flatten": nn.Flatten(),  # (N, C)
        "fc": nn.Linear(channels, num_classes),
    }
