"""Darknet's classifiers: YOLO (arXiv 1506.02640v5) section 2.2, YOLO9000 (1612.08242) Table 6,
YOLOv3 (1804.02767) Table 1.

A word of a column is one row: "64" is 3x3 64, "1x128" is 1x1 128, "7x64/2" is 7x7 64 at stride 2,
"M" is maxpool 2x2/2. Batch norm and leaky ReLU 0.1 follow each convolution but the last.
"""

from __future__ import annotations

import re
from collections import OrderedDict

from torch import Tensor, nn

from convarium.blocks.conv_norm import ConvNorm
from convarium.blocks.inputs import check_picture

# YOLO, figure 3: its first 20 convolutions, pretrained at 224 (section 2.2); extraction.cfg.
EXTRACTION = (
    "7x64/2 M 192 M 1x128 256 1x256 512 M "
    "1x256 512 1x256 512 1x256 512 1x256 512 1x512 1024 M "
    "1x512 1024 1x512 1024"
)
# YOLO9000, Table 6.
DARKNET_19 = (
    "32 M 64 M 128 1x64 128 M 256 1x128 256 M 512 1x256 512 1x256 512 M 1024 1x512 1024 1x512 1024"
)
# YOLOv3, Table 1, behind its first row "32 3x3": a strided 3x3 of `wide`, then `times` residuals.
DARKNET_53 = (
    # times, narrow (1x1), wide (3x3)
    (1, 32, 64),
    (2, 64, 128),
    (8, 128, 256),
    (8, 256, 512),
    (4, 512, 1024),
)


class Darknet19(nn.Module):
    """Table 6 of YOLO9000: the column, a 1x1 convolution to the classes, global average pooling.

    Takes images (N, in_channels, 224, 224) float32, gives logits (N, num_classes).
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.features = nn.Sequential(_rows(DARKNET_19, in_channels))
        self.classifier = nn.Conv2d(1024, num_classes, 1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="Darknet-19", channels=self.in_channels, least=1)
        x = self.classifier(self.features(x))  # (N, num_classes, 7, 7)
        return self.avgpool(x).flatten(1)  # (N, num_classes)


class Extraction(nn.Module):
    """YOLO's classifier: the first 20 convolutions of figure 3, then the classes.

    Takes images (N, in_channels, 224, 224) float32, gives logits (N, num_classes).
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.features = nn.Sequential(_rows(EXTRACTION, in_channels))
        # Paper disagrees: section 2.2 has an average pooling and a fully connected layer behind
        # the 20 convolutions; extraction.cfg a 1x1 convolution, leaky too, and pools last.
        self.classifier = nn.Conv2d(1024, num_classes, 1)
        self.leaky = nn.LeakyReLU(0.1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="Extraction", channels=self.in_channels, least=1)
        x = self.leaky(self.classifier(self.features(x)))  # (N, num_classes, 7, 7)
        return self.avgpool(x).flatten(1)  # (N, num_classes)


class Residual(nn.Module):
    """1x1 of `narrow`, 3x3 of `wide`, and the input added to them; nothing follows the sum."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.conv1 = _conv(wide, narrow, 1)
        self.conv2 = _conv(narrow, wide, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.conv1(x))


class Darknet53(nn.Module):
    """Table 1 of YOLOv3, global average pooling, and a linear layer.

    Takes images (N, in_channels, 256, 256) float32, gives logits (N, num_classes). `stages` are
    the maps at strides 2, 4, 8, 16 and 32 one after the other, the last three YOLOv3's.
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.conv1 = _conv(in_channels, 32, 3)
        self.stages = nn.Sequential()
        width = 32
        for i, (times, narrow, wide) in enumerate(DARKNET_53, start=1):
            down = _conv(width, wide, 3, stride=2)
            residuals = (Residual(narrow, wide) for _ in range(times))
            self.stages.add_module(f"stage{i}", nn.Sequential(down, *residuals))
            width = wide
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.connected = nn.Linear(width, num_classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="Darknet-53", channels=self.in_channels, least=1)
        x = self.stages(self.conv1(x))  # (N, 1024, 8, 8)
        return self.connected(self.avgpool(x).flatten(1))  # (N, num_classes)


def _rows(column: str, in_channels: int) -> OrderedDict[str, nn.Module]:
    """The rows of a column as conv1, pool1, conv2, ..; pooling numbers are its own."""
    rows: OrderedDict[str, nn.Module] = OrderedDict()
    convs, pools = 0, 0
    for word in column.split():
        if word == "M":
            pools += 1
            # Darknet pads the right and the bottom of an odd side: the side is rounded up.
            rows[f"pool{pools}"] = nn.MaxPool2d(2, stride=2, ceil_mode=True)
            continue
        convs += 1
        kernel, width, stride = _sizes(word)
        rows[f"conv{convs}"] = _conv(in_channels, width, kernel, stride=stride)
        in_channels = width
    return rows


def _sizes(word: str) -> tuple[int, int, int]:
    """Kernel, filters and stride of a word.

    >>> _sizes("7x64/2"), _sizes("512")
    ((7, 64, 2), (3, 512, 1))
    """
    match = re.fullmatch(r"(?:(\d+)x)?(\d+)(?:/(\d+))?", word)
    assert match is not None, word
    kernel, width, stride = match.groups()
    return int(kernel or 3), int(width), int(stride or 1)


def _conv(in_channels: int, width: int, kernel: int, *, stride: int = 1) -> ConvNorm:
    return ConvNorm(in_channels, width, kernel, act=nn.LeakyReLU(0.1), stride=stride)


def _initialise(module: nn.Module) -> None:
    # Paper silent: the authors' code draws from N(0, 2 / fan_in), biases 0. Its GPU kernel
    # normalises by sqrt(variance + 1e-5), torch's way; its CPU one by sqrt(variance) + 1e-6.
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
