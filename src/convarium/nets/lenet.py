"""LeNet-5: LeCun, Bottou, Bengio & Haffner 1998 (Proc. IEEE 86(11)), section II.B and figure 2.

The rows of LeNet-5, on a 32x32 picture (parameters and connections as the paper prints them):

    C1   convolution 5x5      6@28x28     156   122,304
    S2   sub-sampling 2x2     6@14x14      12     5,880
    C3   convolution 5x5     16@10x10   1,516   151,600   (the maps that Table I links)
    S4   sub-sampling 2x2    16@5x5        32     2,000
    C5   convolution 5x5    120@1x1    48,120    48,120
    F6   full connection     84        10,164    10,164
    OUT  Euclidean RBF       10                     840   (84 fixed values a class)

`LeNetCaffe` is another network that often goes by this name: BVLC/caffe examples/mnist/lenet.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import torch
from torch import Tensor, nn

from convarium.blocks.init import caffe_xavier, weight_layers
from convarium.blocks.inputs import check_map, check_picture

# Table I, a word a map of C3: the maps of S2 that it sees.
TABLE_I = """
    012 123 234 345 045 015
    0123 1234 2345 0345 0145 0125 0134 1245 0235
    012345
""".split()

# Figure 3, the digits of the stylised ASCII set: 7 columns, 12 rows, "#" is +1 and "." is -1.
# Paper silent: the figure is a picture without numbers; these are drawn after it.
FIGURE_3 = """
..###.. ...##.. .#####. ####### ....##. ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## .....## ...###. ##..... .##.... .....## ##...## ##...##
##...## .####.. #....## ....##. ..####. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## ...##.. .##.##. ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ..####. ##..##. ######. ######. ....##. .#####. ##..###
##...## ...##.. ...##.. .....## ##..##. .....## ###..## ...##.. ##...## .######
##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
##...## ...##.. .##.... .....## ....##. .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## ....##.
..###.. .###### ####### .#####. ....##. .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""


class LeNet5(nn.Module):
    """The rows above; every unit up to F6 is squashed by 1.7159 tanh(2x/3) (appendix A).

    Takes images (N, in_channels, 32, 32) float32, background -0.1 and ink 1.175 in the paper;
    gives minus the squared distance to each class's centre, (N, num_classes).

    Paper silent: more or fewer than ten classes. Class k has digit k's bitmap for k < 10, and
    the first 84 bits of SHA-256 of the decimal number k beyond (see `centres`).
    """

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.c1 = nn.Conv2d(in_channels, 6, 5)
        self.c1_squash = Squash()
        self.s2 = Subsample(6)
        self.s2_squash = Squash()
        self.c3 = LinkedConv2d(TABLE_I, 5)
        self.c3_squash = Squash()
        self.s4 = Subsample(16)
        self.s4_squash = Squash()
        self.c5 = nn.Conv2d(16, 120, 5)
        self.c5_squash = Squash()
        self.f6 = nn.Linear(120, 84)
        self.f6_squash = Squash()
        self.out = EuclideanRBF(centres(num_classes))
        for layer in (self.c1, self.c5, self.f6):
            _uniform(layer.weight, fan_in=layer.weight[0].numel())
            _uniform(layer.bias, fan_in=layer.weight[0].numel())

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="LeNet-5", channels=self.in_channels, least=32)
        x = self.c1_squash(self.c1(x))  # (N, 6, 28, 28)
        x = self.s2_squash(self.s2(x))  # (N, 6, 14, 14)
        x = self.c3_squash(self.c3(x))  # (N, 16, 10, 10)
        x = self.s4_squash(self.s4(x))  # (N, 16, 5, 5)
        x = self.c5_squash(self.c5(x))  # (N, 120, 1, 1)
        check_map(x, net="LeNet-5", layer="F6", side=1, native=32)
        x = self.f6_squash(self.f6(x.flatten(1)))  # (N, 84)
        return self.out(x)  # (N, num_classes)


class Squash(nn.Module):
    """f(x) = A tanh(S x) with A = 1.7159 and S = 2/3, so that f(1) = 1 (appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsample(nn.Module):
    """The sum over each 2x2 window, times a trained coefficient, plus a trained bias, per map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))
        _uniform(self.coefficient, fan_in=4)
        _uniform(self.bias, fan_in=4)

    def forward(self, x: Tensor) -> Tensor:
        total = 4 * nn.functional.avg_pool2d(x, 2)  # (N, C, H / 2, W / 2)
        return total * self.coefficient[:, None, None] + self.bias[:, None, None]


class LinkedConv2d(nn.Module):
    """A convolution whose maps each see some of the maps before: one kernel a link, one bias a map.

    Args:
        table: a word an output map, its digits the input maps that it sees.
        kernel: side of the kernels, in pixels.
    """

    def __init__(self, table: list[str], kernel: int) -> None:
        super().__init__()
        sources = [int(digit) for word in table for digit in word]
        self.lengths = [len(word) for word in table]
        self.register_buffer("sources", torch.tensor(sources))
        self.weight = nn.Parameter(torch.empty(len(sources), 1, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(len(table)))
        for row, links in enumerate(self.weight.split(self.lengths)):
            _uniform(links, fan_in=links.numel())
            _uniform(self.bias[row], fan_in=links.numel())

    sources: Tensor

    def forward(self, x: Tensor) -> Tensor:
        seen = x[:, self.sources]  # (N, links, H, W)
        links = nn.functional.conv2d(seen, self.weight, groups=sum(self.lengths))
        groups = links.split(self.lengths, dim=1)
        # By number: torch.fx, which records the layers, cannot run through what it has not got.
        maps = [groups[row].sum(1, keepdim=True) for row in range(len(self.lengths))]
        return torch.cat(maps, dim=1) + self.bias[:, None, None]  # (N, maps, H - k + 1, W - k + 1)


class EuclideanRBF(nn.Module):
    """Minus the squared distance to each centre: (N, 84) -> (N, classes). The centres are fixed."""

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.register_buffer("centres", centres)

    centres: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None, :] - self.centres).square().sum(2)


def centres(num_classes: int) -> Tensor:
    """The fixed +-1 code of each class, (num_classes, 84), rows of the bitmap one after another."""
    rows = [line.split() for line in FIGURE_3.split("\n") if line]
    digits = ["".join(row[digit] for row in rows) for digit in range(10)]
    others = [_hashed_bits(number) for number in range(10, num_classes)]
    codes = [*digits, *others][:num_classes]
    return torch.tensor([[1.0 if c == "#" else -1.0 for c in code] for code in codes])


def _hashed_bits(number: int) -> str:
    digest = hashlib.sha256(str(number).encode()).digest()
    bits = "".join(f"{byte:08b}" for byte in digest)[:84]
    return bits.replace("1", "#").replace("0", ".")


def _uniform(values: Tensor | None, *, fan_in: int) -> None:
    # Appendix A: uniform in +-2.4 / F, F the inputs of the unit. Paper silent: biases; drawn alike.
    assert values is not None
    with torch.no_grad():
        values.uniform_(-2.4 / fan_in, 2.4 / fan_in)


class LeNetCaffe(nn.Module):
    """20 and 50 maps, max pooling, 500 units; one ReLU, after ip1. "xavier" weights, biases 0.

    Takes images (N, in_channels, 28, 28) float32 in [0, 1], gives logits (N, num_classes).

    Source:
        BVLC/caffe, examples/mnist/lenet.prototxt and lenet_train_test.prototxt.
    """

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, 20, 5),
                pool1=nn.MaxPool2d(2, stride=2, ceil_mode=True),
                conv2=nn.Conv2d(20, 50, 5),
                pool2=nn.MaxPool2d(2, stride=2, ceil_mode=True),
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                ip1=nn.Linear(50 * 4 * 4, 500),
                relu1=nn.ReLU(),
                ip2=nn.Linear(500, num_classes),
            )
        )
        for _, layer in weight_layers(self):
            caffe_xavier(layer)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="Caffe's LeNet", channels=self.in_channels, least=14)
        x = self.features(x)  # (N, 50, 4, 4)
        check_map(x, net="Caffe's LeNet", layer="ip1", side=4, native=28)
        return self.classifier(x.flatten(1))  # (N, num_classes)
