"""Darknet-19, Darknet-53 and Extraction against the papers' tables, the authors' cfg and timm."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from compact_checks import (
    carry_by_order,
    check_counts,
    check_deviation,
    check_equal,
    check_eval_ignores_the_batch,
    check_gradient_reaches_all,
    check_layer_table,
    layer_table,
    on_meta,
    output_shapes,
    shake,
    weighted,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convarium
from convarium.errors import InputError

NAMES = convarium.list_models(family="darknet")
# YOLO9000, Table 6: filters, kernel and output side of each convolution; pooling where it halves.
DARKNET_19 = (
    *((32, 3, 224), (64, 3, 112)),
    *((128, 3, 56), (64, 1, 56), (128, 3, 56)),
    *((256, 3, 28), (128, 1, 28), (256, 3, 28)),
    *((512, 3, 14), (256, 1, 14), (512, 3, 14), (256, 1, 14), (512, 3, 14)),
    *((1024, 3, 7), (512, 1, 7), (1024, 3, 7), (512, 1, 7), (1024, 3, 7)),
)
# YOLOv3, Table 1: times, filters of the 1x1 and of the 3x3, output side.
DARKNET_53 = (
    (1, 32, 64, 128),
    (2, 64, 128, 64),
    (8, 128, 256, 32),
    (8, 256, 512, 16),
    (4, 512, 1024, 8),
)


def darknet_53_params(channels: int, classes: int) -> int:
    total = (9 * channels + 2) * 32
    before = 32
    for times, narrow, wide, _ in DARKNET_53:
        total += (9 * before + 2) * wide
        total += times * ((wide + 2) * narrow + (9 * narrow + 2) * wide)
        before = wide
    return total + (before + 1) * classes


def darknet_19_params(channels: int, classes: int) -> int:
    total = 0
    for width, kernel, _ in DARKNET_19:
        total += (kernel * kernel * channels + 2) * width
        channels = width
    return total + (channels + 1) * classes


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_the_ledgers(name: str) -> None:
    check_counts(name)


@pytest.mark.parametrize(
    ("name", "side", "billions"),
    [("darknet19", 224, "5.58"), ("darknet19", 256, "7.29"), ("darknet53", 256, "18.57")],
)
def test_operations_are_twice_the_macs(name: str, side: int, billions: str) -> None:
    """Section 3 of YOLO9000 and Table 2 of YOLOv3, which prints 18.7 where its cfg gives 18.57."""
    report = convarium.measure_cost(name, (3, side, side))
    assert f"{2 * report.macs / 1e9:.2f}" == billions


def test_shapes_are_table_6s() -> None:
    x = torch.empty(1, 3, 224, 224, device="meta")
    shapes = output_shapes(on_meta("darknet19"), x)
    for i, (width, _, side) in enumerate(DARKNET_19, start=1):
        assert shapes[f"features.conv{i}"] == (width, side, side)
    assert [shapes[f"features.pool{i}"][1] for i in range(1, 6)] == [112, 56, 28, 14, 7]
    assert shapes["classifier"] == (1000, 7, 7)


def test_shapes_are_table_1s() -> None:
    x = torch.empty(1, 3, 256, 256, device="meta")
    model = on_meta("darknet53")
    shapes = output_shapes(model, x)
    assert shapes["conv1"] == (32, 256, 256)
    for i, (times, narrow, wide, side) in enumerate(DARKNET_53, start=1):
        assert shapes[f"stages.stage{i}"] == (wide, side, side)
        assert len(model.stages[i - 1]) == 1 + times
        for j in range(1, 1 + times):
            assert shapes[f"stages.stage{i}.{j}.conv1"] == (narrow, side, side)


@pytest.mark.parametrize(("name", "depth"), [("darknet19", 19), ("darknet53", 53)])
def test_depth_is_the_names(name: str, depth: int) -> None:
    assert len(weighted(on_meta(name))) == depth


def test_activation_is_leaky_by_a_tenth() -> None:
    for name in NAMES:
        slopes = {m.negative_slope for m in on_meta(name).modules() if isinstance(m, nn.LeakyReLU)}
        assert slopes == {0.1}, name


def test_initial_values_are_the_authors() -> None:
    for layer in weighted(convarium.create_model("darknet19")):
        check_deviation(layer.weight.detach(), (2 / layer.weight[0].numel()) ** 0.5)
        assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name: str) -> None:
    model = convarium.create_model(name, num_classes=5)
    check_gradient_reaches_all(model, torch.randn(4, 3, 33, 33))


def test_eval_ignores_the_batch() -> None:
    model = convarium.create_model("darknet19", num_classes=5)
    shake(model)
    check_eval_ignores_the_batch(model, torch.randn(3, 3, 33, 33))


@pytest.mark.slow
def test_equals_timm() -> None:
    timm = pytest.importorskip("timm")
    theirs, ours = timm.create_model("darknet53"), on_meta("darknet53").to_empty(device="cpu")
    for module in theirs.modules():
        if isinstance(module, nn.LeakyReLU):
            module.negative_slope = 0.1
    shake(theirs)
    carry_by_order(theirs, ours)
    check_equal(ours, theirs, torch.randn(1, 3, 64, 96))


@pytest.mark.data
def test_layers_are_the_authors(shared_data: Path) -> None:
    rows = layer_table(shared_data, "darknet-extraction")
    check_layer_table(rows, convarium.measure_cost("extraction"))


@pytest.mark.parametrize("name", NAMES)
def test_other_channels_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="takes images"):
        on_meta(name)(torch.empty(1, 1, 224, 224, device="meta"))


@settings(max_examples=6, deadline=None)
@given(
    side=st.integers(1, 100),
    channels=st.integers(1, 4),
    classes=st.integers(1, 50),
    which=st.sampled_from([("darknet19", darknet_19_params), ("darknet53", darknet_53_params)]),
)
def test_any_options_count_as_computed(side: int, channels: int, classes: int, which) -> None:
    name, closed_form = which
    model = on_meta(name, in_channels=channels, num_classes=classes)
    assert sum(p.numel() for p in model.parameters()) == closed_form(channels, classes)
    assert model(torch.empty(2, channels, side, side, device="meta")).shape == (2, classes)
