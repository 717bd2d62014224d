"""Multiply-adds from shapes against a slow reference that counts them one by one."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

import convarium


def count_convolution(conv, height: int, width: int) -> int:
    """Multiply-adds of a convolution on a height x width map, counted tap by tap."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = (
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
    )
    rows = (height + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    columns = (width + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    total = 0
    for _ in product(range(rows), range(columns), range(conv.out_channels)):
        for _ in product(range(conv.in_channels // conv.groups), range(kh), range(kw)):
            total += 1  # a tap on the zero border is multiplied too
    return total


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 4, 3),
        nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(4, 8, (1, 3), groups=2),
        nn.Conv2d(4, 4, 3, groups=4, padding=1),
        nn.Conv2d(2, 2, 3, dilation=2),
    ],
    ids=repr,
)
def test_convolutions(conv) -> None:
    report = convarium.measure_cost(conv, (conv.in_channels, 9, 7))
    assert report.macs == count_convolution(conv, 9, 7)
    assert report.status == "exact"


def test_transposed_convolution() -> None:
    """Every input pixel meets every weight of its channel once: 5 * 5 * (2 * 3 * 4 * 4)."""
    report = convarium.measure_cost(nn.ConvTranspose2d(2, 3, 4, stride=2), (2, 5, 5))
    assert report.macs == 5 * 5 * 2 * 3 * 4 * 4


def test_batch_multiplies() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 10))
    one = convarium.measure_cost(model, (3, 8, 8))
    seven = convarium.measure_cost(model, (3, 8, 8), batch_size=7)
    assert one.macs == 4 * 36 * 27 + 4 * 36 * 10
    assert seven.macs == 7 * one.macs
    assert seven.params == one.params


def test_an_unknown_operator_makes_a_lower_bound() -> None:
    class Inverse(nn.Module):
        def forward(self, x):
            return torch.linalg.inv(x)

    report = convarium.measure_cost(nn.Sequential(nn.Conv2d(1, 1, 1), Inverse()), (1, 8, 8))
    assert report.status == "lower_bound"
    assert "linalg_inv_ex" in report.unknown_ops
    assert report.macs == 64


def test_nothing_but_products_counts() -> None:
    model = nn.Sequential(
        nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Upsample(scale_factor=2)
    )
    report = convarium.measure_cost(model, (3, 8, 8))
    assert (report.macs, report.status) == (0, "exact")


def test_modes_are_put_back() -> None:
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3))
    model[0].eval()
    convarium.measure_cost(model, (3, 8, 8), training=True)
    assert [m.training for m in model] == [False, True]


def test_a_module_needs_a_size() -> None:
    with pytest.raises(convarium.ConvariumError, match="input_size"):
        convarium.measure_cost(nn.ReLU())


@pytest.mark.parametrize("column", ["vgg_a", "vgg_e"])
def test_rows_add_up(column) -> None:
    report = convarium.measure_cost(column)
    facts = convarium.model_facts(column)
    assert sum(row.macs for row in report.rows) == report.macs == facts.macs.exact
    assert sum(row.params for row in report.rows) == report.params == facts.params.exact
