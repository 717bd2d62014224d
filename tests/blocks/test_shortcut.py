"""Shortcuts under options A, B and C (ResNet, section 3.3), and chances of paths."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convarium.blocks.conv_bn import conv, he_normal
from convarium.blocks.residual import stages
from convarium.blocks.shortcut import PadChannels, Subsample, make_shortcut
from convarium.errors import UsageError


@pytest.mark.parametrize(
    ("option", "stays", "changes"),
    [("A", 0, 0), ("B", 0, 4 * 8 + 2 * 8), ("C", 4 * 4 + 2 * 4, 4 * 8 + 2 * 8)],
)
def test_weights_of_each_option(option: str, stays: int, changes: int) -> None:
    shortcuts = [make_shortcut(option, 4, 4, 1), make_shortcut(option, 4, 8, 2)]
    ours = [sum(p.numel() for p in shortcut.parameters()) for shortcut in shortcuts]
    assert ours == [stays, changes]


@pytest.mark.parametrize("option", ["A", "B", "C"])
@pytest.mark.parametrize("side", [1, 5, 6])
def test_shape_is_that_of_a_3x3_of_the_same_stride(option: str, side: int) -> None:
    x = torch.randn(2, 3, side, side)
    assert make_shortcut(option, 3, 6, 2).eval()(x).shape == conv(3, 6, 3, stride=2)(x).shape


def test_an_odd_zero_map_goes_behind() -> None:
    out = make_shortcut("A", 2, 5, 1)(torch.ones(1, 2, 1, 1))
    assert out.flatten().tolist() == [0, 1, 1, 0, 0]


def test_plain_has_none_and_others_are_refused() -> None:
    assert make_shortcut("none", 4, 8, 2) is None
    with pytest.raises(UsageError, match="'b'"):
        make_shortcut("b", 4, 8, 2)


def test_what_a_printed_network_says_of_them() -> None:
    assert repr(nn.Sequential(Subsample(2), PadChannels(8, 8))).count("=") == 3


def test_every_stage_but_the_first_halves_in_its_first_block() -> None:
    calls: list[tuple[int, int, int]] = []

    def block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        calls.append((in_channels, out_channels, stride))
        return nn.Identity()

    made = stages(block, 16, (16, 32), (2, 2))
    assert calls == [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1)]
    assert [list(stage._modules) for stage in made.values()] == [
        ["conv2_1", "conv2_2"],
        ["conv3_1", "conv3_2"],
    ]


def test_fan_in_of_a_grouped_convolution_is_that_of_one_group() -> None:
    layer = conv(64, 64, 3, groups=16)
    he_normal(layer)
    sigma = (2 / (4 * 9)) ** 0.5  # 4 channels of 3x3 reach each filter
    assert layer.weight.std().item() == pytest.approx(sigma, rel=6 / (2 * 64 * 36) ** 0.5)
