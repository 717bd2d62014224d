"""The parts of a difference: alignment and its speed, folding, towers, tables, first values."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import convarium
from convarium.errors import ConvariumError, InputError, MissingExtraError, UsageError
from convarium.verify.align import align
from convarium.verify.diff_summary import summary
from convarium.verify.difference import difference
from convarium.verify.folding import folded
from convarium.verify.initial import spread, start_alike
from convarium.verify.layer_table import read_table
from convarium.verify.sides import both_sides
from convarium.verify.towers import one_column
from convarium.verify.traced import units_of
from convarium.verify.unit import Side, Unit


def conv(name: str, seen: int, filters: int, *, side: int = 3, maps: int = 8) -> Unit:
    settings = {"in": seen, "filters": filters, "kernel": (side, side), "groups": 1}
    params = side * side * seen * filters
    return Unit(name, "conv", (filters, maps, maps), params, params * maps**2, settings)


def test_a_layer_more_stands_alone() -> None:
    a = [conv("a1", 3, 16), conv("a2", 16, 32)]
    b = [conv("b1", 3, 16), conv("b2", 16, 16), conv("b3", 16, 32)]
    assert align(a, b) == [(0, 0), (None, 1), (1, 2)]


def test_repeats_are_paired_from_the_front() -> None:
    a = [conv("a", 16, 16)] * 2
    assert align(a, a * 2) == [(0, 0), (1, 1), (None, 2), (None, 3)]


def test_kinds_are_never_a_pair() -> None:
    a, b = [conv("a", 16, 16)], [Unit("b", "pool", (16, 8, 8))]
    assert sorted(align(a, b), key=str) == sorted([(0, None), (None, 0)], key=str)


def test_nothing_aligns_with_nothing() -> None:
    assert align([], []) == []
    assert align([conv("a", 3, 3)], []) == [(0, None)]


def test_150_layers_align_in_50_ms() -> None:
    """Each side: 150 convolutions and what joins and pools them; the best of five."""
    a, b = both_sides("resnet152", "resnet152_v1_5")
    assert min(sum(u.kind == "conv" for u in side.units) for side in (a, b)) > 150
    seconds = []
    for _ in range(5):
        start = time.process_time()
        align(a.units, b.units)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05, (
        f"median {1e3 * statistics.median(seconds):.0f} ms of processor time"
    )


class Branches(nn.Module):
    """Two convolutions, then the two activations: each belongs to its own branch."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
        self.on_left, self.on_right = nn.ReLU(), nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.left(x), self.right(x)
        return torch.cat((self.on_left(left), self.on_right(right)), dim=1)


def test_activations_follow_the_data_not_the_order() -> None:
    units = units_of(Branches(), (3, 8, 8))
    found = {unit.name: unit.settings["activation"] for unit in units}
    assert found == {"left": "relu", "right": "sigmoid", "cat": "none"}


def test_an_activation_behind_a_sum_in_place_is_the_sums() -> None:
    class Residual(Branches):
        def forward(self, x: Tensor) -> Tensor:
            y = self.left(x)
            y += self.right(x)
            return self.on_left(y)

    units = units_of(Residual(), (3, 8, 8))
    assert [u.settings["activation"] for u in units] == ["none", "none", "relu"]


def test_settings_are_those_of_the_calls() -> None:
    net = nn.Sequential(
        nn.Conv2d(4, 8, (3, 5), stride=2, padding=(1, 2), dilation=2, groups=2, bias=False),
        nn.BatchNorm2d(8, eps=0.25, momentum=0.5),
        nn.ReLU6(),
        nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False),
        nn.Dropout2d(0.25),
    )
    layer, pool, dropout = units_of(net, (4, 17, 17))
    assert (layer.name, layer.bias_params, layer.norm_params) == ("0", 0, 16)
    assert layer.settings == {
        "filters": 8,
        "in": 4,
        "kernel": (3, 5),
        "stride": (2, 2),
        "pad": (1, 2),
        "dilation": (2, 2),
        "groups": 2,
        "bias": False,
        "transposed": False,
        "norm": "batch norm",
        "norm_eps": 0.25,
        "norm_momentum": 0.5,
        "activation": "relu6",
    }
    assert (pool.settings["rounding"], pool.settings["border"]) == ("up", "left out")
    assert dropout.settings == {"rate": 0.25}


def test_a_dropout_that_drops_nothing_is_no_layer() -> None:
    assert not units_of(nn.Sequential(nn.Dropout(0.0), nn.Identity()), (3, 4, 4))


def test_towers_side_by_side_are_one_layer_of_two_groups() -> None:
    units = folded(
        [
            conv("tower1.conv1", 3, 8),
            conv("tower1.conv2", 8, 16),
            conv("tower2.conv1", 3, 8),
            conv("tower2.conv2", 8, 16),
        ]
    )
    first, second = one_column(units)
    assert [first.settings[key] for key in ("in", "filters", "groups")] == [3, 16, 1]
    assert [second.settings[key] for key in ("in", "filters", "groups")] == [16, 32, 2]
    assert (second.output, second.params) == ((32, 8, 8), 2 * 9 * 8 * 16)


def test_any_other_network_keeps_its_units() -> None:
    units = (conv("a", 3, 8), conv("b", 8, 8))
    assert one_column(units) == units


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        (torch.zeros(9), torch.zeros(5), True),
        (torch.zeros(9), torch.ones(5), False),
        (torch.zeros(9), torch.linspace(-1, 1, 9), False),
        (torch.linspace(-1, 1, 10_000), torch.linspace(-1, 1, 9_000), True),
        (torch.linspace(-1, 1, 10_000), torch.linspace(-1.2, 1.2, 10_000), False),
        (torch.linspace(-1, 1, 10_000), torch.linspace(-0.9, 1.1, 10_000), False),
        (torch.linspace(-1, 1, 20), torch.linspace(-1.2, 1.2, 20), True),
    ],
)
def test_first_values_that_may_be_of_one_distribution(a: Tensor, b: Tensor, alike: bool) -> None:
    assert start_alike(spread(a), spread(b)) is alike


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


RELU = {"name": "r", "type": "ReLU", "out_shape": [4, 8, 8], "params": 0, "macs": 0}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no JSON file"),
        ([], "no layer table"),
        ({"layers": []}, "no layer table"),
        ({"layers": ["conv"]}, "needs to be an object"),
        ({"layers": [RELU | {"macs": -1}]}, "layer 'r' lacks or garbles a count of -1"),
        ({"layers": [RELU | {"out_shape": [4, 0, 8]}]}, "layer 'r' lacks or garbles a side of 0"),
        ({"layers": [RELU | {"top": []}]}, "layer 'r' lacks or garbles"),
        ({"layers": [{"name": "c", "type": "Convolution"}]}, "layer 'c' lacks or garbles"),
        ({"layers": [RELU | {"out_shape": 4}]}, "layer 'r' lacks or garbles"),
        ({"layers": [RELU | {"type": {}}]}, "layer 'r' lacks or garbles"),
        ({"layers": [RELU | {"activation": "maxout"}]}, "layer 'r' lacks or garbles 'maxout'"),
    ],
)
def test_what_is_no_table_is_refused(content: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read_table(write(tmp_path / "table.json", content))


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        convarium.diff("lenet5", str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("resnet500", "resnet50", "no network is named 'resnet500'"),
        ("resnet50", "torchvision:resnet51", "no network of torchvision is named 'resnet51'"),
        ("resnet50", "keras:ResNet50", "'keras' is no library known here"),
        ("resnet50", nn.Conv2d(4, 4, 1), "cannot take a picture"),
    ],
)
def test_what_is_no_network_is_refused(a: str, b: Any, words: str) -> None:
    with pytest.raises(ConvariumError, match=words):
        convarium.diff(a, b)


def test_timm_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'convarium\[timm\]'"):
        convarium.diff("resnet50", "timm:resnet50")


def test_two_modules_need_a_size() -> None:
    with pytest.raises(UsageError, match="input size"):
        convarium.diff(nn.ReLU(), nn.ReLU())


def test_names_decide_nothing() -> None:
    """Two networks of the same layers under other names are the same."""
    one = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    other = nn.ModuleDict({"z": one[2], "conv1": one[0]})

    class Renamed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = other

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layers["z"](torch.relu(self.layers["conv1"](x)))
            return y

    assert not convarium.diff(one, Renamed(), input_size=(3, 8, 8)).differing


def test_an_unlike_price_is_told_though_all_settings_are_equal() -> None:
    a, b = (Side(n, "", None, (Unit(n, "unused", (), count),)) for n, count in (("a", 3), ("b", 5)))
    (row,) = difference(a, b).rows
    assert [(c.field, c.params) for c in row.changes] == [("count", 2)]


def _sides(*models: nn.Module, size: tuple[int, int, int]) -> list[Side]:
    return [
        Side(name, "a test", size, units_of(model.eval(), size))
        for name, model in zip("ab", models, strict=True)
    ]


def test_a_convolution_over_the_whole_map_is_a_matrix() -> None:
    """Of 6 channels of 5x5 to 4: 600 weights either way, and one line of the summary."""
    as_matrix = nn.Sequential(nn.Flatten(), nn.Linear(150, 4, bias=False))
    as_conv = nn.Sequential(nn.Conv2d(6, 4, 5, bias=False), nn.Flatten())
    found = difference(*_sides(as_matrix, as_conv, size=(6, 5, 5)))
    assert (found.params, found.macs) == (0, 0)
    (line,) = summary(found)
    assert "written as a matrix -> 5x5 convolution" in str(line)


def test_a_pool_is_not_blamed_for_a_width() -> None:
    """A norm that goes stands before a pool; the narrower convolution before both is to blame."""

    def network(width: int, *norm: nn.Module) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 8 if width == 12 else 6, 3),
            nn.Conv2d(8 if width == 12 else 6, width, 3),
            *norm,
            nn.MaxPool2d(2),
            nn.Conv2d(width, 7, 3, bias=False),
        )

    wide, narrow = network(12, nn.LocalResponseNorm(5)), network(9)
    found = difference(*_sides(wide, narrow, size=(3, 16, 16)))
    gone = next(line for line in summary(found) if "normalisation" in line.what)
    narrower = next(line for line in summary(found) if "12 -> 9 filters" in line.what)
    assert (gone.params, gone.macs) == (0, 0)
    assert narrower.params == (9 * 6 * 9 + 9 + 7 * 9 * 9) - (12 * 8 * 9 + 12 + 7 * 12 * 9)


def test_what_keeps_a_shape_is_not_blamed_for_one() -> None:
    """A dropout more and an average for a maximum change no width: the convolution before does."""

    def network(width: int, pool: nn.Module, *dropout: nn.Module) -> nn.Module:
        behind = nn.Conv2d(width, 7, 3, bias=False)
        return nn.Sequential(nn.Conv2d(3, width, 3), pool, *dropout, behind)

    wide = network(12, nn.MaxPool2d(2))
    narrow = network(8, nn.AvgPool2d(2), nn.Dropout(0.5))
    lines = summary(difference(*_sides(wide, narrow, size=(3, 16, 16))))
    (narrower,) = [line for line in lines if line.params]
    assert narrower.what == "12 -> 8 filters"
    assert narrower.params == -4 * (3 * 9 + 1) - 4 * 9 * 7


def test_another_input_is_one_line() -> None:
    """111 and 109 pixels are a quarter of nothing apart: no layer is blamed for its map."""
    found = convarium.diff("squeezenet1_0", "torchvision:squeezenet1_0")
    assert found.params == 0
    (line,) = summary(found)
    assert line.what == "another input: 3x227x227 -> 3x224x224"
    assert line.macs == found.macs
