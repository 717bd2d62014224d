"""Wide ResNet, Table 1: depth 6N+4, width k; Tables 4 and 5 print the parameters."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convarium
from convarium.errors import InputError, UsageError
from convarium.nets.wide_resnet import WideResNet, blocks_per_group
from nets import residual_proofs as proofs

PRINTED = {
    **{(40, 1): "0.6M", (40, 2): "2.2M", (40, 4): "8.9M", (16, 4): "2.7M", (16, 8): "11.0M"},
    **{(28, 10): "36.5M", (40, 8): "35.7M", (28, 12): "52.5M", (22, 8): "17.2M"},
}
NAMES = [f"wrn_{depth}_{k}" for depth, k in PRINTED]
BOTTLENECKS = ["wrn_50_2_bottleneck", "wrn_101_2_bottleneck"]


def params(depth: int, k: int, channels: int = 3, classes: int = 10) -> int:
    """Closed form of Table 1 with B(3, 3) pre-activated, projections where the width changes."""
    total, before = 9 * channels * 16, 16
    for width in (16 * k, 32 * k, 64 * k):
        for _ in range((depth - 4) // 6):
            total += 2 * before + 9 * before * width + 2 * width + 9 * width * width
            total += before * width * (before != width)
            before = width
    return total + 2 * before + before * classes + classes


@pytest.mark.parametrize("name", NAMES + BOTTLENECKS)
def test_counts_are_the_ledgers(name: str) -> None:
    assert proofs.counts(name) == proofs.ledger(name)


@pytest.mark.parametrize(("size", "printed"), PRINTED.items())
def test_parameters_round_to_tables_4_and_5(size: tuple[int, int], printed: str) -> None:
    assert f"{params(*size) / 1e6:.1f}M" == printed


@pytest.mark.parametrize("name", NAMES)
def test_parameters_with_100_classes_are_the_ledgers(name: str) -> None:
    note = next(n for n in convarium.model_facts(name).notes if "CIFAR-100" in n)
    with torch.device("meta"):
        net = convarium.create_model(name, num_classes=100)
    assert proofs.params_of(net) == int(re.search(r"\d{6,}", note)[0])


@pytest.mark.parametrize(
    ("layer", "shape"),
    {
        "conv1": (16, 32, 32),
        "conv2_x": (160, 32, 32),
        "conv3_x": (320, 16, 16),
        "conv4_x": (640, 8, 8),
    }.items(),
)
def test_shape_of_each_group_of_28_10(layer: str, shape: tuple[int, ...]) -> None:
    assert proofs.output_of("wrn_28_10", layer) == shape


def test_depth_counts_convolutions_and_projections() -> None:
    depths = [16, 22, 28, 40]
    assert [1 + 6 * blocks_per_group(d) + 3 for d in depths] == depths
    with pytest.raises(UsageError, match=r"6N\+4"):
        WideResNet(20, 2)


@given(
    n=st.integers(1, 4), k=st.integers(1, 6), channels=st.integers(1, 5), classes=st.integers(1, 9)
)
@settings(max_examples=12, deadline=None)
def test_parameters_have_a_closed_form(n: int, k: int, channels: int, classes: int) -> None:
    with torch.device("meta"):
        net = WideResNet(6 * n + 4, k, in_channels=channels, num_classes=classes)
    assert proofs.params_of(net) == params(6 * n + 4, k, channels, classes)


def test_dropout_stands_between_the_convolutions_of_each_block() -> None:
    rows = convarium.measure_cost(WideResNet(10, 2, dropout=0.3), (3, 32, 32)).rows
    kinds = [row.kind for row in rows if row.name.startswith("conv3_x.conv3_1.")]
    drop = kinds.index("Dropout")
    assert kinds[drop - 1 : drop + 2] == ["ReLU", "Dropout", "Conv2d"]
    assert sum(row.kind == "Dropout" for row in rows) == 3


def test_rows_of_tables_4_and_5_have_no_dropout() -> None:
    assert not [m for m in proofs.on_meta("wrn_28_10").modules() if isinstance(m, nn.Dropout)]


@pytest.mark.slow
def test_equals_torchvision_with_its_weights() -> None:
    models = pytest.importorskip("torchvision.models")
    peer = proofs.shaken(models.wide_resnet50_2(weights=None)).double().eval()
    ours = convarium.create_model("wide_resnet50_2").double().eval()
    proofs.carry_by_order(peer.state_dict(), ours)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(ours(x), peer(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_classes_and_channels_can_be_chosen(name: str) -> None:
    with torch.device("meta"):
        net = convarium.create_model(name, num_classes=7, in_channels=1)
    assert (net.fc.out_features, net.conv1.in_channels) == (7, 1)


def test_starts_as_he() -> None:
    proofs.assert_starts_as_he(WideResNet(16, 2))


def test_gradient_reaches_every_parameter() -> None:
    proofs.assert_gradient_reaches_all(WideResNet(10, 2, dropout=0.3), torch.randn(4, 3, 16, 16))


def test_eval_ignores_the_batch() -> None:
    model = WideResNet(10, 1, dropout=0.3)
    proofs.assert_eval_ignores_batch(model, torch.randn(3, 3, 17, 16))


def test_a_wrong_picture_is_refused() -> None:
    with pytest.raises(InputError, match="WideResNet takes images"):
        WideResNet(10, 1)(torch.randn(1, 1, 32, 32))
