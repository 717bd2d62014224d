"""Optimisers, where decay applies, the bound on filters and the losses, against arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from convarium.recipes import Recipe
from convarium.train.losses import loss_of
from convarium.train.optimizers import limit_filters, make_optimizer
from convarium.train.step import train_step

PLAIN = Recipe("plain", lr=0.1, epochs=1, momentum=0.0, nesterov=False, weight_decay=0.0)


def test_layers_that_are_first_met_later_move_as_in_plain_sgd() -> None:
    """Chance passes over the second layer at the first step: the momenta are not all there yet."""
    recipe = replace(PLAIN, momentum=0.9, nesterov=True, weight_decay=0.01)
    ends = []
    for plain in (False, True):
        torch.manual_seed(0)
        net, x = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)]), torch.rand(4, 3)
        words = {"lr": recipe.lr, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
        ours = make_optimizer(net, recipe)
        optimizer = torch.optim.SGD(net.parameters(), **words, fused=False) if plain else ours
        for layers in (1, 2, 1, 2):
            optimizer.zero_grad()
            y = x
            for layer in net[:layers]:
                y = layer(y)
            y.square().sum().backward()
            optimizer.step()
        ends.append([p.detach().clone() for p in net.parameters()])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def _moved(weight: float, gradients: list[float], recipe: Recipe) -> float:
    """One weight behind those gradients in turn."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, weight)
    optimizer = make_optimizer(layer, recipe)
    for gradient in gradients:
        layer.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
    return layer.weight.item()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_that_of_sutskever_et_al(momentum, nesterov) -> None:
    """torch's form: v = m v + g; w -= lr v, or lr (g + m v) with Nesterov's look ahead."""
    recipe = replace(PLAIN, momentum=momentum, nesterov=nesterov, weight_decay=0.01)
    w, v = 2.0, 0.0
    for given in (0.5, -1.0, 3.0):
        g = given + 0.01 * w
        v = momentum * v + g
        w -= 0.1 * (g + momentum * v if nesterov else v)
    assert _moved(2.0, [0.5, -1.0, 3.0], recipe) == pytest.approx(w, rel=1e-6)


def test_rmsprop_has_inceptions_decay_and_epsilon() -> None:
    """s = 0.9 s + 0.1 g^2; v = m v + g / (sqrt(s) + 1); w -= lr v."""
    recipe = replace(PLAIN, optimizer="rmsprop", momentum=0.9)
    w, v, s = 2.0, 0.0, 0.0
    for g in (0.5, -1.0, 3.0):
        s = 0.9 * s + 0.1 * g * g
        v = 0.9 * v + g / (math.sqrt(s) + 1.0)
        w -= 0.1 * v
    assert _moved(2.0, [0.5, -1.0, 3.0], recipe) == pytest.approx(w, rel=1e-6)


@pytest.mark.parametrize(
    ("decay_on", "shrinking"),
    [
        ("all", {"0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"}),
        ("weights", {"0.weight", "2.weight"}),
        ("not depthwise", {"0.weight", "0.bias", "1.weight", "1.bias", "2.bias"}),
    ],
)
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_decay_shrinks_what_it_should(decay_on, shrinking, optimizer) -> None:
    """0 is a convolution, 1 its batch norm, 2 depthwise; without a gradient, decay alone moves."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, groups=4))
    for p in net.parameters():
        nn.init.ones_(p)
        p.grad = torch.zeros_like(p)
    recipe = replace(PLAIN, optimizer=optimizer, weight_decay=0.5, decay_on=decay_on)
    make_optimizer(net, recipe).step()
    # sgd: 1 - 0.1 * 0.5. rmsprop divides the 0.5 by sqrt(0.1 * 0.25) + 1.
    moved = 0.05 if optimizer == "sgd" else 0.05 / (math.sqrt(0.025) + 1)
    for name, p in net.named_parameters():
        expected = 1 - moved if name in shrinking else 1.0
        torch.testing.assert_close(p.detach(), torch.full_like(p, expected), msg=name)


def test_what_is_fixed_is_not_decayed() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].requires_grad_(False)
    given = [p for group in make_optimizer(net, PLAIN).param_groups for p in group["params"]]
    assert [id(p) for p in given] == [id(p) for p in net[1].parameters()]


def test_a_filter_above_the_bound_comes_down_to_it_and_others_stay() -> None:
    """ZFNet, section 3.1: "whose RMS value exceeds a fixed radius of 1e-1"."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(2, 2))
    before = net[1].weight.detach().clone()
    filters = torch.randn(3, 2, 3, 3)
    rms = (filters**2).mean((1, 2, 3), keepdim=True).sqrt()
    scaled = filters / rms * torch.tensor([0.2, 0.1, 0.05]).view(3, 1, 1, 1)
    with torch.no_grad():
        net[0].weight.copy_(scaled)
    limit_filters(net, 0.1)
    torch.testing.assert_close(net[0].weight.detach()[0], scaled[0] / 2)
    torch.testing.assert_close(net[0].weight.detach()[1:], scaled[1:])
    assert torch.equal(net[1].weight, before)


def test_the_bound_holds_behind_each_step(plan) -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten())
    nn.init.constant_(net[0].weight, 5.0)
    recipe = replace(PLAIN, max_filter_rms=0.1)
    images, labels = torch.rand(6, 1, 3, 3), torch.arange(6) % 4
    train_step(net, make_optimizer(net, recipe), images, labels, recipe=recipe, plan=plan)
    rms = (net[0].weight.detach() ** 2).mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(rms, torch.full((4,), 0.1))


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def test_the_logistic_loss_sums_over_the_classes() -> None:
    logits, labels = [[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], [0, 2]
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        for place, z in enumerate(row):
            total -= math.log(_sigmoid(z) if place == label else 1 - _sigmoid(z))
    recipe = replace(PLAIN, loss="logistic")
    found = loss_of(torch.tensor(logits), torch.tensor(labels), recipe)
    assert found.item() == pytest.approx(total / 2, rel=1e-6)


def test_lenets_criterion_is_equation_9() -> None:
    """y of the right class + log(exp(-j) + sum of exp(-y)), the mean over the pictures."""
    penalties, labels = [[1.0, 4.0], [0.5, 2.0]], [0, 1]
    rows = [
        row[label] + math.log(math.exp(-1.0) + sum(math.exp(-y) for y in row))
        for row, label in zip(penalties, labels, strict=True)
    ]
    recipe = replace(PLAIN, loss="map")
    found = loss_of(-torch.tensor(penalties), torch.tensor(labels), recipe)
    assert found.item() == pytest.approx(sum(rows) / 2, rel=1e-6)


def test_an_auxiliary_head_has_the_recipes_loss_and_weight() -> None:
    recipe = replace(PLAIN, loss="logistic", aux_weight=0.3)
    main, aux, labels = torch.zeros(1, 2), torch.tensor([[1.0, -1.0]]), torch.tensor([1])
    of_main = -2 * math.log(0.5)
    of_aux = -math.log(1 - _sigmoid(1.0)) - math.log(_sigmoid(-1.0))
    expected = of_main + 0.3 * of_aux
    assert loss_of((main, aux), labels, recipe).item() == pytest.approx(expected, rel=1e-6)
