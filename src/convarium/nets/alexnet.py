"""AlexNet: Krizhevsky, Sutskever & Hinton 2012 (NIPS 25), figure 2 and section 3.5.

Two towers, one a GPU, each with half of the kernels; they meet at conv3 and from fc6 on. Beside
it the same rows in one tower, and the one tower of Krizhevsky 2014 (arXiv 1404.5997).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from convarium.blocks.init import gaussian, weight_layers
from convarium.blocks.inputs import check_map, check_picture
from convarium.blocks.lrn import LocalResponseNorm

# Name, kernels of both towers, side, stride, padding, what each tower sees, what follows its ReLU:
# "LRN" local response normalisation (section 3.3), "M" max pooling 3x3 with stride 2 (section 3.4).
# Paper disagrees: a 224 picture, but 55x55 maps behind conv1, which need 227 (cuda-convnet rounds
# up). The caption counts 253,440 neurons there; 96 maps of 55x55 are 290,400.
FIGURE_2 = (
    ("conv1", 96, 11, 4, 0, "picture", "LRN M"),
    ("conv2", 256, 5, 1, 2, "own tower", "LRN M"),
    ("conv3", 384, 3, 1, 1, "both towers", ""),
    ("conv4", 384, 3, 1, 1, "own tower", ""),
    ("conv5", 256, 3, 1, 1, "own tower", "M"),
)
HIDDEN = 4096  # neurons of fc6 and of fc7, both towers together; both layers see both towers

# Section 5: biases of these are 1 at first, of all others 0; all weights N(0, 0.01).
BIAS_ONE = frozenset({"conv2", "conv4", "conv5", "fc6", "fc7"})

# Krizhevsky 2014, footnote: kernels of the one-tower network.
# Paper disagrees: its text says 0.2 % more parameters than the two towers. These widths have 1.4 %
# more; 256 kernels in conv4, as in the one-GPU configuration of cuda-convnet2, have 0.2 %.
# Paper silent: padding of conv1. 2 gives the 55x55 maps at 224; cuda-convnet2 pads 0, rounds up.
ONE_WEIRD_TRICK = (
    ("conv1", 64, 11, 4, 2, "picture", "LRN M"),
    ("conv2", 192, 5, 1, 2, "own tower", "LRN M"),
    ("conv3", 384, 3, 1, 1, "own tower", ""),
    ("conv4", 384, 3, 1, 1, "own tower", ""),
    ("conv5", 256, 3, 1, 1, "own tower", "M"),
)


class AlexNet2GPU(nn.Module):
    """Figure 2 as two towers; fc8 sees both. Each tower may live on a device of its own.

    Takes images (N, in_channels, 227, 227) float32, gives logits (N, num_classes).
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.tower1 = Tower(in_channels)
        self.tower2 = Tower(in_channels)
        self.fc8 = nn.Linear(HIDDEN, num_classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="AlexNet", channels=self.in_channels, least=67)
        maps = self._both("conv1", "pool2", x, x)  # (N, 128, 13, 13) each
        maps = self._both("conv3", "pool5", *self._exchanged(*maps))  # (N, 128, 6, 6) each
        check_map(maps[0], net="AlexNet", layer="fc6", side=6, native=227)
        seen = [both.flatten(1) for both in self._exchanged(*maps)]  # (N, 9216) each
        half = self._both("fc6", "drop6", *seen)  # (N, 2048) each
        half = self._both("fc7", "drop7", *self._exchanged(*half))  # (N, 2048) each
        return self.fc8(self._exchanged(*half)[0])  # (N, num_classes)

    def spread(self, first: torch.device | str, second: torch.device | str) -> AlexNet2GPU:
        """Moves tower1 and fc8 to `first`, tower2 to `second`; logits come out on `first`.

        Pictures may lie on either. Where one of the two is "meta", shapes cross and numbers
        cannot: what the other tower receives from it is NaN.
        """
        self.tower1.to(first)
        self.fc8.to(first)
        self.tower2.to(second)
        return self

    def _both(self, first: str, last: str, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """Each tower's layers from `first` to `last`, on what that tower sees."""
        if self.tower1.device() != self.tower2.device():
            x1, x2 = _hand_over(x1, self.tower1.device()), _hand_over(x2, self.tower2.device())
        return self.tower1.run(first, last, x1), self.tower2.run(first, last, x2)

    def _exchanged(self, y1: Tensor, y2: Tensor) -> tuple[Tensor, Tensor]:
        """Both towers' maps or neurons side by side, once for each tower."""
        # The towers' devices, not the maps': torch.fx records maps that lie nowhere.
        if self.tower1.device() == self.tower2.device():
            both = torch.cat((y1, y2), dim=1)
            return both, both
        at1 = torch.cat((y1, _hand_over(y2, y1.device)), dim=1)
        at2 = torch.cat((_hand_over(y1, y2.device), y2), dim=1)
        return at1, at2


class Tower(nn.ModuleDict):
    """What one GPU holds: conv1 to pool5 and its halves of fc6 and fc7, by the paper's names."""

    def __init__(self, in_channels: int) -> None:
        # Paper silent: whether the normalisation crosses the towers. The GPUs exchange maps only
        # before conv3 and fc6 (section 3.2), so each normalises its own.
        rows = _convolutions(FIGURE_2, in_channels, towers=2)
        super().__init__({**rows, **_fully_connected(towers=2)})

    def run(self, first: str, last: str, x: Tensor) -> Tensor:
        """The layers from `first` to `last`, both included."""
        names = list(self)
        for name in names[names.index(first) : names.index(last) + 1]:
            x = self[name](x)
        return x

    def device(self) -> torch.device:
        """Where this tower's weights are."""
        return next(self.parameters()).device


class AlexNet(nn.Module):
    """The rows of figure 2 in one tower: conv2, conv4 and conv5 see all maps.

    Takes images (N, in_channels, 227, 227) float32, gives logits (N, num_classes).
    """

    table = FIGURE_2
    native, least = 227, 67

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.features = nn.Sequential(_convolutions(self.table, in_channels, towers=1))
        self.classifier = nn.Sequential(_fully_connected(towers=1))
        self.classifier.add_module("fc8", nn.Linear(HIDDEN, num_classes))
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="AlexNet", channels=self.in_channels, least=self.least)
        x = self.features(x)  # (N, 256, 6, 6)
        check_map(x, net="AlexNet", layer="fc6", side=6, native=self.native)
        return self.classifier(x.flatten(1))  # (N, num_classes)


class AlexNetOWT(AlexNet):
    """The one tower of "One weird trick": 64, 192, 384, 384 and 256 kernels, else as AlexNet.

    Takes images (N, in_channels, 224, 224) float32, gives logits (N, num_classes).
    """

    table = ONE_WEIRD_TRICK
    native, least = 224, 63


def _convolutions(
    table: tuple[tuple[str, int, int, int, int, str, str], ...], in_channels: int, *, towers: int
) -> OrderedDict[str, nn.Module]:
    """conv1 to pool5 of one tower."""
    rows: OrderedDict[str, nn.Module] = OrderedDict()
    seen = {"picture": in_channels}
    for number, (name, kernels, side, stride, padding, sees, then) in enumerate(table, start=1):
        own = kernels // towers
        rows[name] = nn.Conv2d(seen[sees], own, side, stride=stride, padding=padding)
        rows[f"relu{number}"] = nn.ReLU()
        if "LRN" in then:
            rows[f"lrn{number}"] = LocalResponseNorm()
        if "M" in then:
            rows[f"pool{number}"] = nn.MaxPool2d(3, stride=2)
        seen = {"own tower": own, "both towers": kernels}
    return rows


def _fully_connected(*, towers: int) -> OrderedDict[str, nn.Module]:
    """fc6 to drop7 of one tower. Section 4.2: half of the neurons of both layers are dropped."""
    rows: OrderedDict[str, nn.Module] = OrderedDict()
    for number, seen in ((6, 256 * 6 * 6), (7, HIDDEN)):
        rows[f"fc{number}"] = nn.Linear(seen, HIDDEN // towers)
        rows[f"relu{number}"] = nn.ReLU()
        rows[f"drop{number}"] = nn.Dropout(0.5)
    return rows


def _initialise(module: nn.Module) -> None:
    for name, layer in weight_layers(module):
        gaussian(layer, 0.01, bias=1.0 if name in BIAS_ONE else 0.0)


def _hand_over(x: Tensor, device: torch.device) -> Tensor:
    """`x` on `device`; from "meta", where there are no numbers to move, NaN of the same shape."""
    if x.device.type == "meta" and device.type != "meta":
        return torch.full(x.shape, torch.nan, dtype=x.dtype, device=device)
    return x.to(device)
