"""VGG: Simonyan & Zisserman 2015 (arXiv 1409.1556v6), Table 1.

A word of a column is one row: "64" is conv3-64, "1x256" is conv1-256, "M" is maxpool.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from convarium.blocks.inputs import check_map, check_picture
from convarium.blocks.lrn import LocalResponseNorm

TABLE_1 = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "A-LRN": "64 LRN M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 1x256 M 512 512 1x512 M 512 512 1x512 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


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
                fc6=nn.Linear(512 * 7 * 7, 4096),
                relu6=nn.ReLU(),
                drop6=nn.Dropout(0.5),
                fc7=nn.Linear(4096, 4096),
                relu7=nn.ReLU(),
                drop7=nn.Dropout(0.5),
                fc8=nn.Linear(4096, num_classes),
            )
        )
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="VGG", channels=self.in_channels, least=32)
        x = self.features(x)  # (N, 512, 7, 7)
        check_map(x, net="VGG", layer="fc6", side=7, native=224)
        return self.classifier(x.flatten(1))  # (N, num_classes)


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
            rows[f"conv{name}"] = nn.Conv2d(in_channels, width, kernel, padding=kernel // 2)
            rows[f"relu{name}"] = nn.ReLU()
            in_channels, position = width, position + 1
    return rows


def _initialise(module: nn.Module) -> None:
    # Section 3.1: column A from N(0, variance 1e-2), biases 0; deeper columns start from A's
    # trained layers, which is the recipe's business, and their other layers are drawn the same.
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(module.weight, std=0.1)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
