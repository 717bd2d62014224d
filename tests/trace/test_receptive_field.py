"""Receptive fields against the reach of gradients: positive weights, a picture larger than it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import convarium
from convarium.cost.report import CostRow
from gradient_reach import output_of, seen_by, spread_evenly


def check(model: nn.Module, path: str, row: CostRow, side: int, channels: int = 3) -> None:
    """The row's field has the size, place and range of the gradient's reach."""
    picture = torch.rand(1, channels, side, side, dtype=torch.float64, requires_grad=True)
    maps = output_of(spread_evenly(model), path, picture)
    at = maps.shape[-1] // 2
    count = maps.shape[1]
    some = sorted({*range(0, count, -(-count // 8)), count - 1})
    seen = [seen_by(maps, picture, c, at) for c in some]
    largest = max(seen, key=lambda s: s.side)
    first, last = max(largest, key=lambda span: span[1] - span[0])
    assert 0 < first <= last < side - 1, "the picture is too small to tell"
    assert row.receptive_field == last - first + 1
    assert row.receptive_field_min == min(s.side for s in seen)
    assert row.rf_offset + at * row.rf_stride == (first + last) / 2


# One network a family, and a layer of it as deep as a picture of this side lets the gradient tell.
FAMILIES = [
    ("lenet5", "c3", 32),
    ("lenet_caffe", "features.pool2", 40),
    ("alexnet_2gpu", "tower1.conv4", 227),
    ("zfnet", "features.conv4", 224),
    ("nin_cifar10", "features.conv3", 96),
    ("vgg_d", "features.conv4_1", 128),
    ("googlenet", "inception_3b", 224),
    ("resnet18_b", "conv3_x", 224),
    ("resnet20_cifar", "conv3_x", 96),
    ("preact_resnet164", "conv2_x", 96),
    ("wrn_16_4", "conv3_x", 96),
    ("resnext50_32x4d", "conv3_x", 192),
    ("stochastic_depth_110", "conv2_x", 96),
    ("fractalnet20_c3_cifar", "block2", 128),
    ("densenet_40_12_cifar", "features.dense_block1", 64),
    ("densenet121", "features.dense_block1", 192),
    ("squeezenet1_1", "features.fire9", 288),
    ("mobilenet_v1_025_224", "features.conv7_pw", 224),
    ("darknet19", "features.conv8", 128),
]


# The default run leaves out those whose oracle takes seconds.
LONG = frozenset(
    """
    alexnet_2gpu zfnet googlenet resnet18_b preact_resnet164 wrn_16_4 resnext50_32x4d
    stochastic_depth_110 densenet121 squeezenet1_1 mobilenet_v1_025_224 fractalnet20_c3_cifar
    densenet_40_12_cifar
    vgg_d
    """.split()
)


@pytest.mark.parametrize(
    ("name", "path", "side"),
    [pytest.param(*row, marks=pytest.mark.slow if row[0] in LONG else ()) for row in FAMILIES],
    ids=str,
)
def test_every_family(name: str, path: str, side: int) -> None:
    rows = convarium.measure_cost(name).rows
    row = [r for r in rows if r.name == path or r.name.startswith(f"{path}.")][-1]
    model = convarium.create_model(name)
    check(model, path, row, side, channels=convarium.model_facts(name).input[0])


def test_squeezenet_sees_175_to_207() -> None:
    """fire9 joins 1x1 filters, which see what its squeeze layer sees, and 3x3 at stride 16.

    conv1 3x3/2 sees 3, three pools 3/2 behind it add 4, 8 and 16, the 3x3 of two fires each at
    strides 4 and 8 add 8 + 8 and 16 + 16, of three at 16 add 3 * 32: 3 + 4 + 16 + 8 + 32 + 16 + 96.
    """
    rows = {row.name: row for row in convarium.measure_cost("squeezenet1_1").rows}
    last = rows["features.fire9.cat"]
    narrow = 3 + 4 + 16 + 8 + 32 + 16 + 3 * 32
    assert (last.receptive_field_min, last.receptive_field) == (narrow, narrow + 32) == (175, 207)


class Branches(nn.Module):
    """Several ways of the same picture, joined along the channels; then `behind`."""

    def __init__(self, *ways: nn.Module, behind: nn.Module) -> None:
        super().__init__()
        self.ways, self.behind = nn.ModuleList(ways), behind

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(torch.cat([way(x) for way in self.ways], 1))


class OnePath(nn.Module):
    """A way back to a finer map beside it, as in YOLOv3 and U-Net."""

    def __init__(self, up: nn.Module) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 2, 3, stride=2, padding=1)
        self.coarse = nn.Conv2d(2, 2, 3, stride=2, padding=1)
        self.up = up
        self.last = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        return self.last(torch.cat([self.up(self.coarse(fine)), fine], 1))


def conv(k: int, *, stride: int = 1, groups: int = 1, width: tuple[int, int] = (3, 4)) -> nn.Conv2d:
    return nn.Conv2d(*width, k, stride=stride, padding=k // 2, groups=groups)


WIDE = (8, 8)
ODD = {
    "joined": Branches(conv(1), conv(5), behind=nn.ReLU()),
    "depthwise behind a join": Branches(conv(1), conv(5), behind=conv(3, groups=8, width=WIDE)),
    "two groups behind a join": Branches(conv(1), conv(5), behind=conv(3, groups=2, width=WIDE)),
    "shuffled": Branches(
        conv(1), conv(5), behind=nn.Sequential(nn.ChannelShuffle(2), conv(3, groups=4, width=WIDE))
    ),
    "all channels": Branches(conv(1), conv(5), behind=conv(1, width=WIDE)),
    "even kernel": nn.Sequential(nn.Conv2d(3, 4, 2, stride=2), nn.Conv2d(4, 4, 4)),
    "dilated": nn.Conv2d(3, 4, 3, dilation=3),
    "tall": nn.Sequential(nn.Conv2d(3, 4, (7, 1)), nn.Conv2d(4, 4, (1, 3))),
    "cropped": nn.Sequential(nn.ZeroPad2d((2, -1, 2, -1)), nn.Conv2d(3, 4, 3)),
    "mirrored": nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(3, 4, 3)),
    "ceil": nn.Sequential(nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.Conv2d(3, 4, 3)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_shapes(name: str) -> None:
    model = nn.Sequential(ODD[name])
    row = convarium.measure_cost(model, (3, 33, 33)).rows[-1]
    check(model, "0", row, 33)


UPS = {
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "transposed 2": nn.ConvTranspose2d(2, 2, 2, stride=2),
    "transposed 4": nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1),
}


@pytest.mark.parametrize("name", UPS)
def test_behind_a_way_back_up(name: str) -> None:
    """Pixels then differ by phase: the field is that of the phase that sees most."""
    model = nn.Sequential(OnePath(UPS[name]))
    row = convarium.measure_cost(model, (3, 64, 64)).rows[-1]
    picture = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    maps = output_of(spread_evenly(model), "0", picture)
    sides = [seen_by(maps, picture, 0, at).side for at in range(14, 18)]
    assert row.receptive_field == max(sides)
    assert row.rf_stride == 2


@pytest.mark.parametrize(
    "gate",
    [
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid()),
        nn.Softmax(dim=-1),
        nn.Linear(32, 32),
    ],
    ids=["squeeze and excite", "softmax over columns", "linear over columns"],
)
def test_what_sees_the_whole_picture_says_so(gate: nn.Module) -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate = nn.Conv2d(4, 4, 3, padding=1), gate

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x * self.gate(x)

    rows = convarium.measure_cost(Gated(), (4, 32, 32)).rows
    assert rows[0].receptive_field == 3
    last = rows[-1]
    assert (last.receptive_field, last.receptive_field_min, last.rf_stride) == (None, None, None)
