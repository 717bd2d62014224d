"""SqueezeNet: Iandola et al. 2016 (arXiv 1602.07360), Table 1 and section 6; v1.1 is their code's.

Rows are conv1 (kernel, stride, pad, filters), maxpool (3x3, stride 2) and fire (s1x1, e1x1, e3x3).
No batch normalisation anywhere.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import torch
from torch import Tensor, nn

from convarium.blocks.caffe_fill import xavier_
from convarium.blocks.inputs import check_picture
from convarium.errors import UsageError

Table = dict[str, tuple[int, ...]]
# Paper disagrees: Table 1 prints a 224x224 input, but its 111x111 behind conv1 needs 227x227, as
# the authors' code has it; and it prints 13x12x512 behind maxpool8, which is 13x13x512.
TABLE_1: Table = {
    "conv1": (7, 2, 0, 96),
    "maxpool1": (),
    "fire2": (16, 64, 64),
    "fire3": (16, 64, 64),
    "fire4": (32, 128, 128),
    "maxpool4": (),
    "fire5": (32, 128, 128),
    "fire6": (48, 192, 192),
    "fire7": (48, 192, 192),
    "fire8": (64, 256, 256),
    "maxpool8": (),
    "fire9": (64, 256, 256),
}
V1_1: Table = {
    "conv1": (3, 2, 0, 64),
    "maxpool1": (),
    "fire2": (16, 64, 64),
    "fire3": (16, 64, 64),
    "maxpool3": (),
    "fire4": (32, 128, 128),
    "fire5": (32, 128, 128),
    "maxpool5": (),
    "fire6": (48, 192, 192),
    "fire7": (48, 192, 192),
    "fire8": (64, 256, 256),
    "fire9": (64, 256, 256),
}
SIDE_32: Table = {**V1_1, "conv1": (3, 1, 1, 64)}
# Figure 2: which fire modules have an identity beside them, and which a 1x1 convolution.
BYPASS = {
    "none": ((), ()),
    "simple": (("fire3", "fire5", "fire7", "fire9"), ()),
    "complex": (("fire3", "fire5", "fire7", "fire9"), ("fire2", "fire4", "fire6", "fire8")),
}


class Fire(nn.Module):
    """squeeze1x1, then expand1x1 and expand3x3 side by side (figure 1)."""

    def __init__(self, in_channels: int, s1x1: int, e1x1: int, e3x3: int) -> None:
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(in_channels, s1x1, 1)
        self.relu_squeeze1x1 = nn.ReLU()
        self.expand1x1 = nn.Conv2d(s1x1, e1x1, 1)
        self.relu_expand1x1 = nn.ReLU()
        self.expand3x3 = nn.Conv2d(s1x1, e3x3, 3, padding=1)
        self.relu_expand3x3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu_squeeze1x1(self.squeeze1x1(x))  # (N, s1x1, H, W)
        ones, threes = self.expand1x1(x), self.expand3x3(x)
        return torch.cat(
            [self.relu_expand1x1(ones), self.relu_expand3x3(threes)], 1
        )  # (N, e1x1 + e3x3, H, W)


class BypassFire(Fire):
    """A fire module with its input added to its output (section 6).

    Paper silent: where the sum meets the ReLU. The authors' residual network adds behind the
    ReLUs of the expand layers, and no ReLU follows the sum or the 1x1 convolution of the bypass.
    """

    def __init__(self, in_channels: int, s1x1: int, e1x1: int, e3x3: int, *, conv: bool) -> None:
        super().__init__(in_channels, s1x1, e1x1, e3x3)
        self.bypass = nn.Conv2d(in_channels, e1x1 + e3x3, 1) if conv else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.bypass(x)


class SqueezeNet(nn.Module):
    """Table 1, then dropout 0.5, conv10 1x1, ReLU and global average pooling.

    Takes images (N, in_channels, 227, 227) float32, gives logits (N, num_classes).

    Args:
        bypass: "none", "simple" or "complex" (figure 2).

    Raises:
        UsageError: no such bypass.
    """

    table: ClassVar[Table] = TABLE_1
    least: ClassVar[int] = 21  # side in pixels that leaves every pooling a map of 2x2

    def __init__(
        self, bypass: str = "none", *, in_channels: int = 3, num_classes: int = 1000
    ) -> None:
        super().__init__()
        if bypass not in BYPASS:
            raise UsageError(f"SqueezeNet: bypass is none, simple or complex, not {bypass!r}.")
        self.in_channels = in_channels
        self.features = nn.Sequential(_rows(self.table, BYPASS[bypass], in_channels))
        self.drop9 = nn.Dropout(0.5)
        # Paper disagrees: the authors' v1.0 pads conv10 by 1; Table 1 keeps 13x13, and so do we.
        self.conv10 = nn.Conv2d(512, num_classes, 1)
        self.relu10 = nn.ReLU()
        self.avgpool10 = nn.AdaptiveAvgPool2d(1)
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="SqueezeNet", channels=self.in_channels, least=self.least)
        x = self.features(x)  # (N, 512, 13, 13)
        x = self.relu10(self.conv10(self.drop9(x)))  # (N, num_classes, 13, 13)
        return self.avgpool10(x).flatten(1)  # (N, num_classes)

    def _initialise(self) -> None:
        # Paper silent: the authors' code fills with Caffe's xavier, and conv10 from N(0, 0.01^2).
        for conv in _convolutions(self):
            xavier_(conv.weight)
        nn.init.normal_(self.conv10.weight, std=0.01)


class SqueezeNet11(SqueezeNet):
    """Version 1.1 of the authors' code: 64 filters of 3x3 in conv1, pooling behind 1, 3 and 5."""

    table = V1_1
    least = 17

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__(in_channels=in_channels, num_classes=num_classes)


class SqueezeNet32px(SqueezeNet):
    """Version 1.1 for pictures of 32x32: conv1 at stride 1, He's initial values, 10 classes."""

    table = SIDE_32
    least = 8

    def __init__(self, *, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__(in_channels=in_channels, num_classes=num_classes)

    def _initialise(self) -> None:
        # Caffe's xavier halves the variance at each ReLU: 18 in a row leave nothing to learn from.
        for conv in _convolutions(self):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")


def _rows(
    table: Table, bypass: tuple[tuple[str, ...], tuple[str, ...]], in_channels: int
) -> OrderedDict[str, nn.Module]:
    """The rows of a table under their own names; a ReLU follows conv1."""
    identities, convolutions = bypass
    rows: OrderedDict[str, nn.Module] = OrderedDict()
    for name, sizes in table.items():
        if name == "conv1":
            kernel, stride, pad, width = sizes
            rows["conv1"] = nn.Conv2d(in_channels, width, kernel, stride=stride, padding=pad)
            rows["relu1"] = nn.ReLU()
            in_channels = width
        elif name.startswith("maxpool"):
            rows[name] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        else:
            if name in identities or name in convolutions:
                rows[name] = BypassFire(in_channels, *sizes, conv=name in convolutions)
            else:
                rows[name] = Fire(in_channels, *sizes)
            in_channels = sizes[1] + sizes[2]
    return rows


def _convolutions(module: nn.Module) -> list[nn.Conv2d]:
    """Every convolution of `module`, its biases set to 0."""
    found = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    for conv in found:
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    return found
