"""VGG: Simonyan & Zisserman 2015 (arXiv 1409.1556v6), Table 1.

A word of a column is one row: "64" is conv3-64, "1x256" is conv1-256, "M" is maxpool.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from convarium.blocks.init import gaussian, he, weight_layers
from convarium.blocks.inputs import check_map, check_picture
from convarium.blocks.lrn import LocalResponseNorm
from convarium.blocks.numbered import Conv2d, ReLU

TABLE_1 = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "A-LRN": "64 LRN M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 1x256 M 512 512 1x512 M 512 512 1x512 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}
HIDDEN = 4096  # the two rows FC-4096 below every column


class VGG(nn.Module):
    """One column of Table 1, then FC-4096, FC-4096, FC-classes, dropout 0.5 (section 3.1).

    Takes images (N, in_channels, 224, 224) float32, gives logits (N, num_classes).
    """

    def __init__(self, column: str, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.features = nn.Sequential(_rows(TABLE_1[column], in_channels))
        self.classifier = nn.Sequential(
            OrderedDict(
                fc6=nn.Linear(512 * 7 * 7, HIDDEN),
                relu6=nn.ReLU(),
                drop6=nn.Dropout(0.5),
                fc7=nn.Linear(HIDDEN, HIDDEN),
                relu7=nn.ReLU(),
                drop7=nn.Dropout(0.5),
                fc8=nn.Linear(HIDDEN, num_classes),
            )
        )
        # Section 3.1: column A from N(0, variance 10^-2), biases 0. Deeper columns start from
        # trained layers of A (four convolutions, three FC), which is the recipe's business; their
        # other layers are drawn the same.
        for _, layer in weight_layers(self):
            gaussian(layer, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="VGG", channels=self.in_channels, least=32)
        x = self.features(x)  # (N, 512, 7, 7)
        check_map(x, net="VGG", layer="fc6", side=7, native=224)
        return self.classifier(x.flatten(1))  # (N, num_classes)


class VGG32px(nn.Module):
    """One column of Table 1 for pictures of 32x32: other head, other initialisation.

    The five pools leave 1x1, so one FC row takes the place of three; no dropout. Weights start as
    He et al. 2015 have it, biases at 0.
    Takes images (N, in_channels, 32, 32) float32, gives logits (N, num_classes).
    """

    def __init__(self, column: str, *, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.features = nn.Sequential(_rows(TABLE_1[column], in_channels))
        self.fc8 = nn.Linear(512, num_classes)
        for _, layer in weight_layers(self):
            he(layer)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="VGG for 32x32", channels=self.in_channels, least=32)
        x = self.features(x)  # (N, 512, 1, 1)
        check_map(x, net="VGG for 32x32", layer="fc8", side=1, native=32)
        return self.fc8(x.flatten(1))  # (N, num_classes)


def _rows(column: str, in_channels: int) -> OrderedDict[str, nn.Module]:
    """The layers of one column under the names conv1_1 .. pool5."""
    rows: OrderedDict[str, nn.Module] = OrderedDict()
    stage, position = 1, 1
    for word in column.split():
        if word == "M":
            rows[f"pool{stage}"] = nn.MaxPool2d(2, stride=2)
            stage, position = stage + 1, 1
        elif word == "LRN":
            rows[f"lrn{stage}"] = LocalResponseNorm()
        else:
            kernel, width = (1, int(word[2:])) if word.startswith("1x") else (3, int(word))
            name = f"{stage}_{position}"
            rows[f"conv{name}"] = Conv2d(in_channels, width, kernel, padding=kernel // 2)
            rows[f"relu{name}"] = ReLU()
            in_channels, position = width, position + 1
    return rows
