"""MobileNet: Howard et al. 2017 (arXiv 1704.04861), Table 1.

A row holds two lines of the table, "Conv dw" and the 1x1 "Conv" behind it: the name, the stride of
the depthwise one, the filters of the pointwise one. Batch norm and ReLU follow each (figure 3).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from convarium.blocks.conv_norm import ConvNorm
from convarium.blocks.inputs import check_picture
from convarium.errors import UsageError

Table = tuple[tuple[str, int, int], ...]
CONV1 = 32  # filters of "Conv / s2", the row above these
# Paper disagrees: the last "Conv dw" is printed with stride 2 and 7x7 on both sides; it is 1.
TABLE_1: Table = (
    ("conv2", 1, 64),
    ("conv3", 2, 128),
    ("conv4", 1, 128),
    ("conv5", 2, 256),
    ("conv6", 1, 256),
    ("conv7", 2, 512),
    ("conv8", 1, 512),
    ("conv9", 1, 512),
    ("conv10", 1, 512),
    ("conv11", 1, 512),
    ("conv12", 1, 512),
    ("conv13", 2, 1024),
    ("conv14", 1, 1024),
)
# Table 5: "the 5 layers of separable filters with feature size 14x14x512 are removed".
_REMOVED = ("conv8", "conv9", "conv10", "conv11", "conv12")
SHALLOW: Table = tuple(row for row in TABLE_1 if row[0] not in _REMOVED)


class MobileNetV1(nn.Module):
    """Table 1 at width multiplier alpha; the resolution multiplier rho is the input's size.

    Takes images (N, in_channels, 224, 224) float32, gives logits (N, num_classes).

    Args:
        alpha: width multiplier in (0, 1]; every number of channels is times alpha, rounded down.
        table: the rows behind conv1.
        stem_stride: of conv1.

    Raises:
        UsageError: alpha leaves a layer without channels, or is over 1.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        table: Table = TABLE_1,
        stem_stride: int = 2,
        in_channels: int = 3,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        if not 1 / CONV1 <= alpha <= 1:
            raise UsageError(f"MobileNet: alpha is from 1/{CONV1} to 1 (section 3.3), not {alpha}.")
        self.in_channels = in_channels
        width = int(alpha * CONV1)
        rows: OrderedDict[str, nn.Module] = OrderedDict()
        rows["conv1"] = _conv(in_channels, width, 3, stride=stem_stride)
        for name, stride, filters in table:
            rows |= self._row(name, width, int(alpha * filters), stride)
            width = int(alpha * filters)
        self.features = nn.Sequential(rows)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, num_classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="MobileNet", channels=self.in_channels, least=1)
        x = self.features(x)  # (N, 1024 alpha, 7, 7)
        return self.fc(self.avg_pool(x).flatten(1))  # (N, num_classes)

    def _row(self, name: str, width: int, filters: int, stride: int) -> dict[str, ConvNorm]:
        return {
            f"{name}_dw": _conv(width, width, 3, stride=stride, groups=width),
            f"{name}_pw": _conv(width, filters, 1),
        }


class MobileNetV1FullConv(MobileNetV1):
    """Table 4: each depthwise and pointwise pair is one standard 3x3 convolution."""

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__(in_channels=in_channels, num_classes=num_classes)

    def _row(self, name: str, width: int, filters: int, stride: int) -> dict[str, ConvNorm]:
        return {name: _conv(width, filters, 3, stride=stride)}


class MobileNetV1Shallow(MobileNetV1):
    """Table 5: without the five separable layers of 14x14x512."""

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__(table=SHALLOW, in_channels=in_channels, num_classes=num_classes)


class MobileNetV1_32px(MobileNetV1):  # noqa: N801 - "V132px" would be another version
    """Table 1 for pictures of 32x32: conv1 at stride 1, 10 classes, 2x2 before the pooling."""

    def __init__(self, alpha: float, *, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__(alpha, stem_stride=1, in_channels=in_channels, num_classes=num_classes)


def _conv(width: int, filters: int, kernel: int, *, stride: int = 1, groups: int = 1) -> ConvNorm:
    # Paper silent: on padding. Theirs is TensorFlow's SAME, which at stride 2 on an even side pads
    # the right and the bottom alone; ours pads both sides by 1 and gives maps of the same size.
    return ConvNorm(width, filters, kernel, act=nn.ReLU(), stride=stride, groups=groups)


def _initialise(module: nn.Module) -> None:
    # Paper silent: the authors' code (TF-slim) draws every weight from N(0, 0.09^2) cut off at two
    # deviations, and normalises with epsilon 1e-3. It has ReLU6 and dropout 0.001; the paper, ReLU.
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.trunc_normal_(module.weight, std=0.09, a=-0.18, b=0.18)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.BatchNorm2d):
        module.eps = 1e-3
