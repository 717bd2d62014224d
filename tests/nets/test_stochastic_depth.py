"""Stochastic depth, sections 3 and 4: p_l = 1 - l / L (1 - p_L), p_L = 0.5."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convarium
from convarium.blocks.drop_path import survives
from convarium.errors import InputError, UsageError
from convarium.nets.stochastic_depth import StochasticDepthCIFAR, Surviving, decay_linearly
from long_networks import DEEPEST, marked
from nets import residual_proofs as proofs

NAMES = ["stochastic_depth_110", "stochastic_depth_1202", "stochastic_depth_152_imagenet"]
BLOCKS = {
    "stochastic_depth_110": 54,
    "stochastic_depth_152_svhn": 75,
    "stochastic_depth_1202": 600,
    "stochastic_depth_152_imagenet": 50,
}


def blocks_of(model: nn.Module) -> list[Surviving]:
    return [module for module in model.modules() if isinstance(module, Surviving)]


def convolutions_called(model: nn.Module, images: torch.Tensor) -> int:
    calls = []
    hooks = [
        m.register_forward_hook(lambda *_: calls.append(1))
        for m in model.modules()
        if isinstance(m, nn.Conv2d)
    ]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    return len(calls)


@pytest.mark.parametrize("name", marked(NAMES, DEEPEST))
def test_counts_are_the_ledgers(name: str) -> None:
    assert proofs.counts(name) == proofs.ledger(name)


def test_152_layers_for_svhn_follow_the_rule_of_110() -> None:
    # Nobody printed a count: 3 x 25 blocks of 16, 32, 64 filters.
    total, before = 9 * 3 * 16 + 32, 16
    for width in (16, 32, 64):
        total += 9 * before * width + 49 * 9 * width**2 + 50 * 2 * width
        before = width
    assert proofs.cost("stochastic_depth_152_svhn").params == total + 64 * 10 + 10


@pytest.mark.parametrize(("name", "number"), BLOCKS.items())
def test_survival_decays_linearly_to_one_half(name: str, number: int) -> None:
    survivals = [block.survival for block in blocks_of(proofs.on_meta(name))]
    assert survivals == pytest.approx(
        [1 - position / number / 2 for position in range(1, number + 1)]
    )
    # Section 3: (3L - 1) / 4 blocks are active on average, about 40 of 54.
    assert sum(survivals) == pytest.approx((3 * number - 1) / 4)


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("stochastic_depth_110", "resnet110_cifar"),
        ("stochastic_depth_152_imagenet", "resnet152_v1_5"),
    ],
)
def test_the_weights_are_those_of_its_resnet(name: str, twin: str) -> None:
    states = [proofs.on_meta(n).state_dict() for n in (name, twin)]
    first, second = ({k: v.shape for k, v in state.items()} for state in states)
    assert first == second


@pytest.mark.parametrize("name", BLOCKS)
def test_classes_and_channels_can_be_chosen(name: str) -> None:
    with torch.device("meta"):
        net = convarium.create_model(name, num_classes=7, in_channels=1)
    assert (net.fc.out_features, net.conv1.in_channels) == (7, 1)


def test_training_calls_the_convolutions_of_the_survivors_alone() -> None:
    model, passes = StochasticDepthCIFAR(20), 200
    images = torch.randn(2, 3, 8, 8)
    everything = convolutions_called(model.eval(), images)
    assert everything == 1 + 2 * 9
    model.train()
    called = [convolutions_called(model, images) for _ in range(passes)]
    chances = [block.survival for block in blocks_of(model)]
    deviation = (sum(4 * p * (1 - p) for p in chances) / passes) ** 0.5
    assert abs(sum(called) / passes - (1 + 2 * sum(chances))) < 5 * deviation
    assert max(called) <= everything
    assert all(count % 2 == 1 for count in called)


def test_a_step_of_training_costs_three_quarters_in_expectation() -> None:
    report = proofs.cost("stochastic_depth_110")
    blocks = {name: m.survival for name, m in _named_blocks(proofs.on_meta(report.name))}
    expected = 0.0
    for row in report.rows:
        expected += row.macs * blocks.get(row.name.rpartition(".")[0], 1.0)
    # Each block but the two that halve the map costs the same; they are a quarter cheaper.
    assert expected / report.macs == pytest.approx(40.25 / 54, abs=0.005)


def _named_blocks(model: nn.Module) -> list[tuple[str, Surviving]]:
    return [(name, m) for name, m in model.named_modules() if isinstance(m, Surviving)]


def test_cost_of_a_training_pass_counts_what_ran() -> None:
    model = StochasticDepthCIFAR(20)
    decay_linearly(model, 0.0)
    training = convarium.measure_cost(model, (3, 32, 32), training=True)
    assert training.status == "exact"
    assert training.macs < convarium.measure_cost(model, (3, 32, 32)).macs


def test_the_same_seed_drops_the_same_blocks() -> None:
    def draw() -> list[bool]:
        torch.manual_seed(5)
        return [survives(0.5) for _ in range(64)]

    assert draw() == draw()
    assert 0 < sum(draw()) < 64


def test_chance_bounds_are_certain() -> None:
    assert all(survives(1.0) for _ in range(100))
    assert not any(survives(0.0) for _ in range(100))


def test_eval_counts_every_block_with_its_chance() -> None:
    model = proofs.shaken(StochasticDepthCIFAR(8)).double().eval()
    block = blocks_of(model)[0]
    x = torch.randn(2, 16, 6, 6, dtype=torch.float64).clamp(min=0)
    assert block.survival == pytest.approx(1 - 1 / 6)
    expected = (x + 5 / 6 * block.residual(x)).clamp(min=0)
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


def test_shortcut_averages_four_pixels_and_puts_zeros_behind() -> None:
    shortcut = blocks_of(StochasticDepthCIFAR(8))[1].shortcut
    x = torch.randn(2, 16, 6, 4, dtype=torch.float64)
    out = shortcut(x)
    for row in range(3):
        for column in range(2):
            four = x[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            torch.testing.assert_close(out[:, :16, row, column], four.sum((2, 3)) / 4)
    assert out.shape == (2, 32, 3, 2)
    assert not out[:, 16:].any()


def test_a_dropped_block_neither_learns_nor_counts() -> None:
    model = StochasticDepthCIFAR(8)
    dropped = blocks_of(model)[2]
    decay_linearly(model, 1.0)
    dropped.survival = 0.0
    model.train()(torch.randn(2, 3, 8, 8)).sum().backward()
    assert all(p.grad is None for p in dropped.parameters())
    assert not dropped.bn1.running_mean.any()
    assert all(p.grad is not None for p in blocks_of(model)[0].parameters())


@pytest.mark.parametrize("name", ["stochastic_depth_110", "stochastic_depth_152_imagenet"])
def test_a_network_of_dropped_blocks_is_its_shortcuts_and_their_relus(name: str) -> None:
    # Section 3: a dropped block is ReLU(0 + id(H)), equation 2 with b = 0.
    torch.manual_seed(0)
    model = convarium.create_model(name, num_classes=5).train()
    images = torch.randn(2, 3, 64, 64, requires_grad=True)
    for block in blocks_of(model):
        block.survival = 0.0
    found = model(images)
    gradient = torch.autograd.grad(found.sum(), images)[0]
    for block in blocks_of(model):
        block.forward = lambda x, block=block: torch.relu(block.shortcut(x))
    wanted = model(images)
    assert torch.equal(found, wanted)
    assert torch.equal(gradient, torch.autograd.grad(wanted.sum(), images)[0])


def test_gradient_reaches_every_parameter_of_the_survivors() -> None:
    model = StochasticDepthCIFAR(14)
    decay_linearly(model, 1.0)
    proofs.assert_gradient_reaches_all(model, torch.randn(4, 3, 16, 16))


@given(n=st.integers(1, 6), channels=st.integers(1, 5), classes=st.integers(1, 100))
@settings(max_examples=8, deadline=None)
def test_parameters_have_a_closed_form(n: int, channels: int, classes: int) -> None:
    with torch.device("meta"):
        net = StochasticDepthCIFAR(6 * n + 2, in_channels=channels, num_classes=classes)
    total, before = 9 * channels * 16 + 32, 16
    for width in (16, 32, 64):
        total += 9 * before * width + (2 * n - 1) * 9 * width**2 + 4 * n * width
        before = width
    assert proofs.params_of(net) == total + 64 * classes + classes


@pytest.mark.parametrize("layer", ["conv2_x", "conv3_x", "conv4_x"])
def test_shape_of_each_stage(layer: str) -> None:
    shape = {"conv2_x": (16, 32, 32), "conv3_x": (32, 16, 16), "conv4_x": (64, 8, 8)}[layer]
    assert proofs.output_of("stochastic_depth_110", layer) == shape


def test_starts_as_he() -> None:
    proofs.assert_starts_as_he(StochasticDepthCIFAR(20))


def test_eval_ignores_the_batch() -> None:
    proofs.assert_eval_ignores_batch(StochasticDepthCIFAR(14), torch.randn(3, 3, 15, 9))


def test_impossible_calls_are_refused() -> None:
    with pytest.raises(UsageError, match=r"6n\+2"):
        StochasticDepthCIFAR(100)
    with pytest.raises(InputError, match="StochasticDepthCIFAR takes images"):
        StochasticDepthCIFAR(8)(torch.randn(1, 1, 32, 32))
