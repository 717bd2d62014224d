"""ZFNet: Zeiler & Fergus 2014 (ECCV; arXiv 1311.2901v3), figure 3."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from convarium.blocks.init import gaussian, weight_layers
from convarium.blocks.inputs import check_map, check_picture
from convarium.blocks.lrn import LocalResponseNorm

# Layers 1 to 5: name, kernels, side, stride, padding, what follows the ReLU. "M0" and "M1" are max
# pooling 3x3 with stride 2 and padding 0 or 1, "LRN" contrast normalisation across feature maps.
# Paper silent: padding. Only these give the printed sides: 110, 55, 26, 13, 13, 13, 13, 6.
FIGURE_3 = (
    ("conv1", 96, 7, 2, 1, "M1 LRN"),
    ("conv2", 256, 5, 2, 0, "M1 LRN"),
    ("conv3", 384, 3, 1, 1, ""),
    ("conv4", 384, 3, 1, 1, ""),
    ("conv5", 256, 3, 1, 1, "M0"),
)
HIDDEN = 4096  # layers 6 and 7


class ZFNet(nn.Module):
    """Figure 3: five convolutions, FC-4096, FC-4096, FC-classes, dropout 0.5 (section 3).

    Takes images (N, in_channels, 224, 224) float32, gives logits (N, num_classes).
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.features = nn.Sequential(_rows(in_channels))
        self.classifier = nn.Sequential(
            OrderedDict(
                fc6=nn.Linear(256 * 6 * 6, HIDDEN),
                relu6=nn.ReLU(),
                drop6=nn.Dropout(0.5),
                fc7=nn.Linear(HIDDEN, HIDDEN),
                relu7=nn.ReLU(),
                drop7=nn.Dropout(0.5),
                fc8=nn.Linear(HIDDEN, num_classes),
            )
        )
        # Paper silent: section 3 starts "all weights" from 10^-2. Equal weights would stay equal,
        # so it is read as AlexNet's N(0, 0.01), whose recipe the section follows; biases 0.
        for _, layer in weight_layers(self):
            gaussian(layer, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="ZFNet", channels=self.in_channels, least=53)
        x = self.features(x)  # (N, 256, 6, 6)
        check_map(x, net="ZFNet", layer="fc6", side=6, native=224)
        return self.classifier(x.flatten(1))  # (N, num_classes)


def _rows(in_channels: int) -> OrderedDict[str, nn.Module]:
    """conv1 to pool5 under the names of figure 3's layers."""
    rows: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (name, kernels, side, stride, padding, then) in enumerate(FIGURE_3, start=1):
        rows[name] = nn.Conv2d(in_channels, kernels, side, stride=stride, padding=padding)
        rows[f"relu{number}"] = nn.ReLU()
        if "M" in then:
            rows[f"pool{number}"] = nn.MaxPool2d(3, stride=2, padding=int("M1" in then))
        if "LRN" in then:
            # Paper silent: the normalisation's constants; AlexNet's, which the net is made from.
            rows[f"lrn{number}"] = LocalResponseNorm()
        in_channels = kernels
    return rows
