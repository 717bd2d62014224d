"""ResNeXt, Table 1 and section 5.3: cardinality C, bottleneck width d."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import convarium
from convarium.blocks.residual import Bottleneck
from convarium.errors import InputError, UsageError
from convarium.nets.resnext import ResNeXt, ResNeXtCIFAR
from nets import residual_proofs as proofs

NAMES = ["resnext50_32x4d", "resnext101_32x4d", "resnext101_64x4d"]
CIFAR = {"resnext29_8x64d_cifar": 34_426_698, "resnext29_16x64d_cifar": 68_155_210}
TABLE_1 = {  # the rows of ResNeXt-50 (32x4d): side, inner width, output width, blocks
    "conv2_x": (56, 128, 256, 3),
    "conv3_x": (28, 256, 512, 4),
    "conv4_x": (14, 512, 1024, 6),
    "conv5_x": (7, 1024, 2048, 3),
}


def stage_params(before: int, inner: int, width: int, repeat: int, groups: int) -> int:
    """Grouped bottlenecks with their batch norms, the first one with a projection."""
    total = before * width + 2 * width
    for _ in range(repeat):
        total += before * inner + 9 * inner * inner // groups + inner * width
        total += 4 * inner + 2 * width
        before = width
    return total


@pytest.mark.parametrize("name", [*NAMES, *CIFAR])
def test_counts_are_the_ledgers(name: str) -> None:
    assert proofs.counts(name) == proofs.ledger(name)


@pytest.mark.parametrize(("name", "params"), CIFAR.items())
def test_parameters_on_cifar_are_table_7s(name: str, params: int) -> None:
    # 34.4M and 68.1M there; the second is cut off and not rounded.
    assert proofs.params_of(proofs.on_meta(name)) == params


@pytest.mark.parametrize("layer", TABLE_1)
def test_shape_of_each_row_of_table_1(layer: str) -> None:
    side, inner, width, _ = TABLE_1[layer]
    assert proofs.output_of("resnext50_32x4d", layer) == (width, side, side)
    conv = f"{layer}.{layer[:5]}_1.conv2"
    assert proofs.output_of("resnext50_32x4d", conv) == (inner, side, side)


def test_parameters_follow_from_table_1() -> None:
    total, before = 49 * 3 * 64 + 128, 64
    for _, inner, width, repeat in TABLE_1.values():
        total += stage_params(before, inner, width, repeat, groups=32)
        before = width
    assert total + 2048 * 1000 + 1000 == proofs.cost("resnext50_32x4d").params


@given(
    cardinality=st.integers(1, 8),
    width=st.integers(1, 16),
    channels=st.integers(1, 5),
    classes=st.integers(1, 100),
)
@settings(max_examples=12, deadline=None)
def test_parameters_have_a_closed_form(cardinality, width, channels, classes) -> None:
    with torch.device("meta"):
        net = ResNeXtCIFAR(cardinality, width, in_channels=channels, num_classes=classes)
    total, before, inner = 9 * channels * 64 + 128, 64, cardinality * width
    for factor in (1, 2, 4):
        total += stage_params(before, inner * factor, 256 * factor, 3, cardinality)
        before = 256 * factor
    assert proofs.params_of(net) == total + 1024 * classes + classes


@pytest.mark.parametrize("name", ["resnext50_32x4d"])
def test_equals_torchvision_with_its_weights(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    peer = proofs.shaken(getattr(models, name)(weights=None)).double().eval()
    ours = convarium.create_model(name).double().eval()
    proofs.carry_by_order(peer.state_dict(), ours)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(ours(x), peer(x), rtol=1e-10, atol=1e-10)


def test_grouped_block_is_the_sum_of_its_paths() -> None:
    """Figure 3: form (c) equals form (a), C paths of 1x1, 3x3, 1x1 that are added."""
    cardinality, d = 4, 3
    shape = {"inner": cardinality * d, "out_channels": 8, "strides": (1, 1)}
    block = Bottleneck(8, **shape, groups=cardinality, shortcut=torch.nn.Identity())
    block = block.double().eval()
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    scale = (1 + 1e-5) ** -0.5  # a fresh batch norm in eval
    conv = torch.nn.functional.conv2d
    total = x
    for c in range(cardinality):
        path = slice(c * d, (c + 1) * d)
        y = (conv(x, block.conv1.weight[path]) * scale).clamp(min=0)
        y = (conv(y, block.conv2.weight[path], padding=1) * scale).clamp(min=0)
        total = total + conv(y, block.conv3.weight[:, path]) * scale
    torch.testing.assert_close(block(x), total.clamp(min=0), rtol=1e-10, atol=1e-10)


def test_starts_as_he() -> None:
    proofs.assert_starts_as_he(ResNeXtCIFAR(2, 16))


def test_gradient_reaches_every_parameter() -> None:
    proofs.assert_gradient_reaches_all(ResNeXtCIFAR(2, 8), torch.randn(4, 3, 16, 16))


def test_eval_ignores_the_batch() -> None:
    proofs.assert_eval_ignores_batch(ResNeXtCIFAR(2, 8), torch.randn(2, 3, 15, 16))


def test_impossible_calls_are_refused() -> None:
    with pytest.raises(UsageError, match="'51'"):
        ResNeXt(51, 32, 4)
    with pytest.raises(InputError, match="ResNeXtCIFAR takes images"):
        ResNeXtCIFAR(2, 4)(torch.randn(1, 1, 32, 32))
