"""PreAct ResNet: 110, 164, 1001 layers for CIFAR; 18, 152, 200 for ImageNet."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import convarium
from convarium.blocks.preact import PreActBasicBlock, PreActBottleneck, bare_projection
from convarium.errors import InputError, UsageError
from convarium.nets.preact_resnet import PreActResNet, PreActResNetCIFAR
from long_networks import DEEPEST, marked
from nets import residual_proofs as proofs

CIFAR = {110: (18, 1, 2), 164: (18, 4, 3), 1001: (111, 4, 3)}  # n, expansion, layers of a unit
IMAGENET = {18: (2, 2, 2, 2), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
NAMES = [f"preact_resnet{depth}" for depth in (*CIFAR, *IMAGENET)]
SHAPES = {
    "preact_resnet110": {"conv2_x": (16, 32), "conv3_x": (32, 16), "conv4_x": (64, 8)},
    "preact_resnet164": {"conv2_x": (64, 32), "conv3_x": (128, 16), "conv4_x": (256, 8)},
    "preact_resnet18": {"pool1": (64, 56), "conv2_x": (64, 56), "conv5_x": (512, 7)},
    "preact_resnet152": {"conv1": (64, 112), "conv3_x": (512, 28), "conv5_x": (2048, 7)},
}


def params(depth: int, channels: int, classes: int) -> int:
    """Closed form for CIFAR: a batch norm before each convolution and one before the pooling."""
    n, expansion, layers = CIFAR[depth]
    total, before = 9 * channels * 16, 16
    for inner in (16, 32, 64):
        for _ in range(n):
            width = inner * expansion
            if layers == 2:
                total += 2 * before + 9 * before * inner + 2 * inner + 9 * inner * inner
            else:
                total += 2 * before + before * inner + 4 * inner + 9 * inner**2 + inner * width
                total += before * width * (before != width)
            before = width
    return total + 2 * before + before * classes + classes


@pytest.mark.parametrize("name", marked(NAMES, DEEPEST))
def test_counts_are_the_ledgers(name: str) -> None:
    assert proofs.counts(name) == proofs.ledger(name)


@pytest.mark.parametrize("name", SHAPES)
def test_shape_of_each_stage(name: str) -> None:
    ours = {layer: proofs.output_of(name, layer) for layer in SHAPES[name]}
    assert ours == {layer: (c, side, side) for layer, (c, side) in SHAPES[name].items()}


@pytest.mark.parametrize(("depth", "rule"), CIFAR.items())
def test_depth_counts_conv1_the_units_and_fc(depth: int, rule: tuple[int, int, int]) -> None:
    n, _, layers = rule
    assert 2 + 3 * n * layers == depth


@given(depth=st.sampled_from([110, 164]), channels=st.integers(1, 5), classes=st.integers(1, 100))
@settings(max_examples=6, deadline=None)
def test_parameters_have_a_closed_form(depth: int, channels: int, classes: int) -> None:
    with torch.device("meta"):
        net = PreActResNetCIFAR(depth, in_channels=channels, num_classes=classes)
    assert proofs.params_of(net) == params(depth, channels, classes)


def _activated(x: Tensor, bn: nn.Module) -> Tensor:
    values = (bn.running_mean, bn.running_var, bn.weight, bn.bias)
    return F.batch_norm(x, *values).clamp(min=0)


@pytest.mark.parametrize("stride", [1, 2])
def test_projecting_unit_shares_its_first_activation(stride: int) -> None:
    unit = PreActBottleneck(8, 16, stride, shortcut=bare_projection(8, 16, stride))
    unit = proofs.shaken(unit).double().eval()
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    a = _activated(x, unit.bn1)
    y = F.conv2d(a, unit.conv1.weight, stride=stride)
    y = F.conv2d(_activated(y, unit.bn2), unit.conv2.weight, padding=1)
    y = F.conv2d(_activated(y, unit.bn3), unit.conv3.weight)
    y = y + F.conv2d(a, unit.shortcut.weight, stride=stride)
    torch.testing.assert_close(unit(x), y, rtol=1e-10, atol=1e-10)


def test_identity_unit_passes_x_untouched() -> None:
    unit = PreActBasicBlock(8, 8, 1, shortcut=nn.Identity()).eval()
    nn.init.zeros_(unit.conv2.weight)
    x = torch.randn(2, 8, 6, 6)
    assert torch.equal(unit(x), x)


def test_first_unit_of_all_activates_before_it_splits() -> None:
    net = proofs.on_meta("preact_resnet110")
    shared = [name for name, m in net.named_modules() if getattr(m, "shares_activation", False)]
    assert shared == ["conv2_x.conv2_1"]


def test_starts_as_he() -> None:
    proofs.assert_starts_as_he(convarium.create_model("preact_resnet164"))


def test_gradient_reaches_every_parameter() -> None:
    model = PreActResNet(18, num_classes=5)
    proofs.assert_gradient_reaches_all(model, torch.randn(2, 3, 48, 48))


def test_gradient_reaches_every_parameter_on_cifar() -> None:
    proofs.assert_gradient_reaches_all(PreActResNetCIFAR(110), torch.randn(2, 3, 8, 8))


def test_eval_ignores_the_batch() -> None:
    proofs.assert_eval_ignores_batch(PreActResNet(18), torch.randn(2, 3, 33, 47))


def test_impossible_calls_are_refused() -> None:
    with pytest.raises(UsageError, match="'50'"):
        PreActResNet(50)
    with pytest.raises(UsageError, match="'20'"):
        PreActResNetCIFAR(20)
    with pytest.raises(InputError, match="PreActResNet takes images"):
        PreActResNet(18)(torch.randn(1, 1, 64, 64))
