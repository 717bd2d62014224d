"""Gradient norms by stage: against plain autograd, and where gradients vanish."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convarium
from convarium.data import training_views
from convarium.data.counter import order
from convarium.recipes import Recipe
from convarium.train import EpochDone, StepDone, fit
from convarium.train.losses import loss_of
from convarium.train.watch import MOST, NormTally, gradient_norms, stages_of


def _fitted(model, dataset, recipe, plan):
    return list(fit(model, dataset, recipe, seed=0, plan=plan))


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet56_cifar", ["conv1", "conv2_x", "conv3_x", "conv4_x", "fc"]),
        ("plain56_cifar", ["conv1", "conv2_x", "conv3_x", "conv4_x", "fc"]),
    ],
)
def test_stages_are_those_of_the_papers_table(name, stages) -> None:
    with torch.device("meta"):
        assert list(stages_of(convarium.create_model(name))) == stages


def test_a_network_of_two_parts_is_opened() -> None:
    with torch.device("meta"):
        stages = list(stages_of(convarium.create_model("vgg_a")))
    # Eight convolutions and three fully connected layers (VGG, Table 1, column A).
    assert len(stages) == 8 + 3


def test_many_stages_are_thinned_with_first_and_last_kept() -> None:
    deep = nn.Sequential(*(nn.Linear(2, 2) for _ in range(40)))
    stages = list(stages_of(deep))
    assert (len(stages), stages[0], stages[-1]) == (MOST, "0", "39")


def test_a_norm_is_the_root_of_the_sum_of_squares() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1), nn.Linear(1, 1))
    for value, layer in enumerate(net, start=3):
        layer.weight.grad = torch.full_like(layer.weight, float(value))
    net[2].weight.grad = None
    expected = [(4 * 3**2) ** 0.5, (2 * 4**2) ** 0.5, 0.0]
    assert gradient_norms(stages_of(net)).tolist() == pytest.approx(expected)


def test_the_first_step_reports_the_gradient_that_autograd_gives(bars, recipe, plan) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 4))
    recipe = replace(recipe, epochs=1, batch=70, shift_px=0)
    ids = torch.from_numpy(order(0, 1, 70))
    views = training_views(bars, recipe)(ids, seed=0, epoch=1)
    F.cross_entropy(net(views), bars.train.labels[ids]).backward()
    expected = {name: float(net.get_submodule(name).weight.grad.norm()) for name in ("0", "3")}
    net.zero_grad()
    events = _fitted(net, bars, recipe, plan)
    step = next(event for event in events if isinstance(event, StepDone))
    assert step.grad_norms == pytest.approx(expected, rel=1e-4)
    done = next(event for event in events if isinstance(event, EpochDone))
    assert done.grad_norms == step.grad_norms


def test_sigmoids_let_the_gradient_vanish_where_relus_do_not(bars, recipe, plan) -> None:
    def share(kind: type[nn.Module]) -> float:
        """The first layer's gradient as a part of the last one's."""
        torch.manual_seed(0)
        layers = [layer for _ in range(6) for layer in (nn.Linear(64, 64), kind())]
        for layer in layers[::2]:
            nn.init.kaiming_normal_(layer.weight)
        net = nn.Sequential(nn.Flatten(), *layers, nn.Linear(64, 4))
        events = _fitted(net, bars, replace(recipe, epochs=1), plan)
        norms = next(e.grad_norms for e in events if isinstance(e, EpochDone))
        first, *_, last = norms.values()
        return first / last

    # The sigmoid's slope is at most 1/4, so six of them take off at least a factor of hundreds.
    assert share(nn.Sigmoid) < share(nn.ReLU) / 100


def test_auxiliary_heads_give_googlenets_first_stage_a_larger_gradient() -> None:
    """Section 5: they "increase the gradient signal that gets propagated back"."""
    model = convarium.create_model("googlenet_aux", num_classes=10).train()
    outputs = model(torch.randn(1, 3, 224, 224))
    first = {}
    for weight in (0.3, 0.0):
        model.zero_grad()
        recipe = Recipe("heads", lr=0.01, epochs=1, aux_weight=weight)
        loss_of(outputs, torch.tensor([7]), recipe).backward(retain_graph=True)
        stages = stages_of(model)
        first[weight] = dict(zip(stages, gradient_norms(stages).tolist(), strict=True))["stem"]
    assert first[0.3] > first[0.0] > 0


def test_watching_moves_no_bit_of_the_training(bars, recipe, plan, monkeypatch) -> None:
    def weights() -> torch.Tensor:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5), nn.Linear(8, 4))
        _fitted(net, bars, replace(recipe, epochs=2), plan)
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    watched = weights()
    monkeypatch.setattr("convarium.train.stepper.stages_of", lambda _: {})
    monkeypatch.setattr("convarium.train.stepper.gradient_norms", lambda _: torch.zeros(0))
    assert torch.equal(watched, weights())


def test_a_tally_that_was_kept_goes_on_to_the_same_means() -> None:
    rows = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0]), torch.tensor([8.0, 1.0])]
    first = NormTally(["a", "b"])
    for row in rows[:2]:
        first.add(row)
    second = NormTally(["a", "b"])
    second.restore(first.kept())
    second.add(rows[2])
    assert second.means() == {"a": 4.0, "b": 3.0}


def test_a_norm_that_is_not_finite_is_passed_over() -> None:
    tally = NormTally(["a"])
    for value in (2.0, float("inf"), 4.0):
        tally.add(torch.tensor([value]))
    assert tally.means() == {"a": 3.0}


def test_a_network_without_matrices_has_no_stages() -> None:
    assert gradient_norms(stages_of(nn.BatchNorm2d(3))).tolist() == []
