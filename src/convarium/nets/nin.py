"""Network in Network: Lin, Chen & Yan 2014 (ICLR; arXiv 1312.4400v3), section 4.

The paper draws the network (figure 2) and prints no widths: those of CIFAR are the authors'
configuration, mavenlin/cuda-convnet NIN/cifar-10_def and cifar-100_def; the ImageNet network,
which the paper has not, is the authors' later Caffe model, "nin_imagenet".
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from convarium.blocks.init import gaussian, weight_layers
from convarium.blocks.inputs import check_picture

# A row an mlpconv layer: maps, side, stride and padding of its convolution, the maps of its two
# 1x1 layers ("cccp"; 0 is one map a class), the deviations of the first weights of the three, and
# what follows: "M" max pooling 3x3 with stride 2, rounded up; "D" dropout 0.5.
TABLES = {
    "cifar-10": (
        (192, 5, 1, 2, 160, 96, (0.05, 0.05, 0.05), "M D"),
        (192, 5, 1, 2, 192, 192, (0.05, 0.05, 0.05), "M D"),
        (192, 3, 1, 1, 192, 0, (0.05, 0.05, 0.05), ""),
    ),
    "cifar-100": (
        (192, 5, 1, 2, 160, 96, (0.001, 0.01, 0.01), "M D"),
        (192, 5, 1, 2, 192, 192, (0.05, 0.05, 0.05), "M D"),
        (192, 3, 1, 1, 192, 0, (0.05, 0.05, 0.05), ""),
    ),
    "imagenet": (
        (96, 11, 4, 0, 96, 96, (0.01, 0.05, 0.05), "M"),
        (256, 5, 1, 2, 256, 256, (0.05, 0.05, 0.05), "M"),
        (384, 3, 1, 1, 384, 384, (0.01, 0.05, 0.05), "M D"),
        (1024, 3, 1, 1, 1024, 0, (0.05, 0.05, 0.01), ""),
    ),
}


class NiN(nn.Module):
    """Mlpconv layers, then global average pooling: one map a class, no fully connected layer.

    Takes images (N, in_channels, H, W) float32: 32x32 for CIFAR, 227x227 for ImageNet, or any
    larger; gives logits (N, num_classes). Every layer has a ReLU, the last too (equation 2), so
    no logit is below 0.
    """

    def __init__(self, table: str, *, in_channels: int = 3, num_classes: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.least = 51 if table == "imagenet" else 4
        self.features = nn.Sequential(_rows(table, in_channels, num_classes))
        self.gap = nn.AdaptiveAvgPool2d(1)
        deviations = [std for row in TABLES[table] for std in row[6]]
        for (_, layer), std in zip(weight_layers(self), deviations, strict=True):
            gaussian(layer, std)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="NiN", channels=self.in_channels, least=self.least)
        x = self.features(x)  # (N, num_classes, 8, 8), or 6x6 for ImageNet
        return self.gap(x).flatten(1)  # (N, num_classes)


def _rows(table: str, in_channels: int, num_classes: int) -> OrderedDict[str, nn.Module]:
    """conv1, cccp1, cccp2, pool1, drop1, conv2 and so on, the names of the authors' files."""
    rows: OrderedDict[str, nn.Module] = OrderedDict()
    for n, (maps, side, stride, padding, mid, end, _, then) in enumerate(TABLES[table], start=1):
        last = end or num_classes
        rows[f"conv{n}"] = nn.Conv2d(in_channels, maps, side, stride=stride, padding=padding)
        rows[f"conv{n}_relu"] = nn.ReLU()
        rows[f"cccp{2 * n - 1}"] = nn.Conv2d(maps, mid, 1)
        rows[f"cccp{2 * n - 1}_relu"] = nn.ReLU()
        rows[f"cccp{2 * n}"] = nn.Conv2d(mid, last, 1)
        rows[f"cccp{2 * n}_relu"] = nn.ReLU()
        if "M" in then:
            rows[f"pool{n}"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        if "D" in then:
            rows[f"drop{n}"] = nn.Dropout(0.5)
        in_channels = last
    return rows
