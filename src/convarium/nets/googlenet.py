"""GoogLeNet: Szegedy et al. 2015 (CVPR; arXiv 1409.4842v1), Table 1, figures 2 and 3, section 5.

The stem is convolution 7x7/2 64, max pool, convolution 3x3 192 behind a 1x1 of 64, max pool.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from convarium.blocks.init import caffe_xavier, he, weight_layers
from convarium.blocks.inputs import check_map, check_picture
from convarium.blocks.lrn import LocalResponseNorm

# Name, #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj. A max pool follows 3b and 4e.
TABLE_1 = (
    ("3a", 64, 96, 128, 16, 32, 32),
    ("3b", 128, 128, 192, 32, 96, 64),
    ("4a", 192, 96, 208, 16, 48, 64),
    ("4b", 160, 112, 224, 24, 64, 64),
    ("4c", 128, 128, 256, 24, 64, 64),
    ("4d", 112, 144, 288, 32, 64, 64),
    ("4e", 256, 160, 320, 32, 128, 128),
    ("5a", 256, 160, 320, 32, 128, 128),
    ("5b", 384, 192, 384, 48, 128, 128),
)


class Inception(nn.Module):
    """Figure 2b: 1x1, 3x3 and 5x5 convolutions and a projected max pool, side by side.

    Each 3x3 and 5x5 has a 1x1 reduction before it; every convolution, the reductions and the
    projection too, has a ReLU (section 5). Keeps height and width.
    """

    def __init__(self, seen: int, *widths: int) -> None:
        """Takes the maps before it, then the six widths of a row of Table 1, in its order."""
        super().__init__()
        n1x1, reduce3x3, n3x3, reduce5x5, n5x5, proj = widths
        self.branch1x1 = nn.Sequential(_conv("conv", seen, n1x1, 1))
        self.branch3x3 = nn.Sequential(
            _conv("reduce", seen, reduce3x3, 1) | _conv("conv", reduce3x3, n3x3, 3)
        )
        self.branch5x5 = nn.Sequential(
            _conv("reduce", seen, reduce5x5, 1) | _conv("conv", reduce5x5, n5x5, 5)
        )
        self.branch_pool = nn.Sequential(
            OrderedDict(pool=nn.MaxPool2d(3, stride=1, padding=1)) | _conv("proj", seen, proj, 1)
        )
        self.out_channels = n1x1 + n3x3 + n5x5 + proj

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1x1, self.branch3x3, self.branch5x5, self.branch_pool)
        return torch.cat([branch(x) for branch in branches], dim=1)


class Inceptions(nn.Module):
    """Table 1 from inception 3a to 5b, on the 192 maps of the stem. Shapes: of a 224 picture."""

    def __init__(self) -> None:
        super().__init__()
        seen = 192
        for name, *widths in TABLE_1:
            module = Inception(seen, *widths)
            self.add_module(f"inception_{name}", module)
            seen = module.out_channels
            if name in ("3b", "4e"):
                self.add_module(f"pool{name[0]}", nn.MaxPool2d(3, stride=2, ceil_mode=True))

    def to_4a(self, x: Tensor) -> Tensor:
        """(N, 192, 28, 28) -> (N, 512, 14, 14)."""
        return self._run(x, "inception_3a inception_3b pool3 inception_4a")

    def to_4d(self, x: Tensor) -> Tensor:
        """(N, 512, 14, 14) -> (N, 528, 14, 14)."""
        return self._run(x, "inception_4b inception_4c inception_4d")

    def to_5b(self, x: Tensor) -> Tensor:
        """(N, 528, 14, 14) -> (N, 1024, 7, 7)."""
        return self._run(x, "inception_4e pool4 inception_5a inception_5b")

    def _run(self, x: Tensor, names: str) -> Tensor:
        for name in names.split():
            x = self.get_submodule(name)(x)
        return x


class GoogLeNet(Inceptions):
    """Table 1 without the auxiliary classifiers, as it is used.

    Takes images (N, in_channels, 224, 224) float32, gives logits (N, num_classes).
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stem = _stem(in_channels)
        self.avg_pool = nn.AvgPool2d(7, stride=1)
        self.dropout = nn.Dropout(0.4)
        self.linear = nn.Linear(1024, num_classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self._classified(self.to_5b(self.to_4d(self.to_4a(self._stemmed(x)))))

    def _stemmed(self, x: Tensor) -> Tensor:
        check_picture(x, net="GoogLeNet", channels=self.in_channels, least=223)
        return self.stem(x)  # (N, 192, 28, 28)

    def _classified(self, x: Tensor) -> Tensor:
        x = self.avg_pool(x)  # (N, 1024, 1, 1)
        check_map(x, net="GoogLeNet", layer="linear", side=1, native=224)
        return self.linear(self.dropout(x.flatten(1)))  # (N, num_classes)


class GoogLeNetAux(GoogLeNet):
    """GoogLeNet as it is trained: a classifier on 4a and one on 4d more (section 5).

    Gives (logits, aux1, aux2), each (N, num_classes), in train mode, and logits in eval mode,
    where the auxiliary classifiers do not run.
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__(in_channels=in_channels, num_classes=num_classes)
        self.aux1 = _aux(512, num_classes)
        self.aux2 = _aux(528, num_classes)
        _initialise(self.aux1)
        _initialise(self.aux2)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        at_4a = self.to_4a(self._stemmed(x))  # (N, 512, 14, 14)
        at_4d = self.to_4d(at_4a)  # (N, 528, 14, 14)
        logits = self._classified(self.to_5b(at_4d))  # (N, num_classes)
        return (logits, self.aux1(at_4a), self.aux2(at_4d)) if self.training else logits


class GoogLeNet32px(Inceptions):
    """Table 1's inceptions for pictures of 32x32: another conv1, average pool and initialisation.

    conv1 is 3x3 with stride 1, so that 3a sees 8x8; nothing is normalised in the stem; the average
    is over whatever map 5b has (2x2); weights start as He et al. 2015 have it, biases at 0.
    Takes images (N, in_channels, 32, 32) float32 or larger, gives logits (N, num_classes).
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stem = nn.Sequential(
            _conv("conv1", in_channels, 64, 3)
            | OrderedDict(pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True))
            | _conv("conv2_reduce", 64, 64, 1)
            | _conv("conv2", 64, 192, 3)
            | OrderedDict(pool2=nn.MaxPool2d(3, stride=2, ceil_mode=True))
        )
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4)
        self.linear = nn.Linear(1024, num_classes)
        for _, layer in weight_layers(self):
            he(layer)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="GoogLeNet for 32x32", channels=self.in_channels, least=16)
        x = self.stem(x)  # (N, 192, 8, 8)
        x = self.to_5b(self.to_4d(self.to_4a(x)))  # (N, 1024, 2, 2)
        return self.linear(self.dropout(self.avg_pool(x).flatten(1)))  # (N, num_classes)


class InceptionNaive(nn.Module):
    """Figure 2a, no reductions: 1x1 128, 3x3 192, 5x5 96 and a 3x3 max pool, side by side.

    The widths are the usual lecture's example (cs231n). Takes maps (N, in_channels, H, W), gives
    (N, 416 + in_channels, H, W).
    """

    def __init__(self, *, in_channels: int = 256) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.branch1x1 = nn.Sequential(_conv("conv", in_channels, 128, 1))
        self.branch3x3 = nn.Sequential(_conv("conv", in_channels, 192, 3))
        self.branch5x5 = nn.Sequential(_conv("conv", in_channels, 96, 5))
        self.branch_pool = nn.Sequential(OrderedDict(pool=nn.MaxPool2d(3, stride=1, padding=1)))
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="the naive inception", channels=self.in_channels, least=1)
        branches = (self.branch1x1, self.branch3x3, self.branch5x5, self.branch_pool)
        return torch.cat([branch(x) for branch in branches], dim=1)  # (N, 672, H, W)


class InceptionBottleneck(Inception):
    """Figure 2b with the lecture's widths: 128, 64 before 3x3 192, 64 before 5x5 96, pool proj 64.

    Takes maps (N, in_channels, H, W), gives (N, 480, H, W).
    """

    def __init__(self, *, in_channels: int = 256) -> None:
        super().__init__(in_channels, 128, 64, 192, 64, 96, 64)
        self.in_channels = in_channels
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="the bottleneck inception", channels=self.in_channels, least=1)
        return super().forward(x)  # (N, 480, H, W)


def _conv(name: str, seen: int, maps: int, side: int) -> OrderedDict[str, nn.Module]:
    """A convolution that keeps height and width, with its ReLU."""
    return OrderedDict(
        [(name, nn.Conv2d(seen, maps, side, padding=side // 2)), (f"{name}_relu", nn.ReLU())]
    )


def _stem(in_channels: int) -> nn.Sequential:
    """The rows above inception 3a. Pools round up: Table 1's 112, 56, 28 (and 14, 7 behind)."""
    # Paper silent: constants of the normalisations that figure 3 shows; AlexNet's.
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_channels, 64, 7, stride=2, padding=3),  # (N, 64, 112, 112)
            conv1_relu=nn.ReLU(),
            pool1=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 64, 56, 56)
            lrn1=LocalResponseNorm(),
        )
        | _conv("conv2_reduce", 64, 64, 1)
        | _conv("conv2", 64, 192, 3)  # (N, 192, 56, 56)
        | OrderedDict(
            lrn2=LocalResponseNorm(),
            pool2=nn.MaxPool2d(3, stride=2, ceil_mode=True),  # (N, 192, 28, 28)
        )
    )


def _aux(seen: int, num_classes: int) -> nn.Sequential:
    """An auxiliary classifier on `seen` maps of 14x14, the list of section 5."""
    return nn.Sequential(
        OrderedDict(avg_pool=nn.AvgPool2d(5, stride=3))  # (N, seen, 4, 4)
        | _conv("conv", seen, 128, 1)
        | OrderedDict(
            flatten=nn.Flatten(),
            fc=nn.Linear(128 * 4 * 4, 1024),
            fc_relu=nn.ReLU(),
            dropout=nn.Dropout(0.7),
            linear=nn.Linear(1024, num_classes),
        )
    )


def _initialise(module: nn.Module) -> None:
    # Paper silent: first values. Those of the Caffe replica (BVLC/caffe models/bvlc_googlenet):
    # "xavier" weights, biases 0.2, and 0 in the last layer of each classifier.
    for name, layer in weight_layers(module):
        caffe_xavier(layer, bias=0.0 if name == "linear" else 0.2)
