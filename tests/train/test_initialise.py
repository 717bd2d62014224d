"""Unit-variance initialisation: every map has mean 0 and variance 1, and nothing else moves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convarium.train.initialise import redraw, unit_variance


def _net(*, bias: bool = True) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=bias),
        nn.ReLU(),
        nn.Conv2d(8, 8, 1, bias=bias),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 36, 5, bias=bias),
    )


@pytest.mark.parametrize("bias", [True, False])
def test_every_map_has_variance_1_and_mean_0_or_at_the_end_2(bias) -> None:
    model, images = _net(bias=bias), 40 + 100 * torch.rand(128, 3, 8, 8)
    redraw(model, "unit_variance")
    unit_variance(model, images)
    x = images
    for layer in model:
        x = layer(x)
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            maps = x.transpose(0, 1).flatten(1)
            torch.testing.assert_close(maps.std(1), torch.ones(len(maps)), rtol=1e-3, atol=1e-3)
            if bias:
                expected = torch.full((len(maps),), 2.0 if layer is model[-1] else 0.0)
                torch.testing.assert_close(maps.mean(1), expected, rtol=0, atol=1e-3)


def test_other_layers_stay() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    before = {name: t.clone() for name, t in model[1].named_parameters()}
    unit_variance(model, torch.rand(4, 1, 5, 5))
    assert not model[0]._forward_hooks
    assert all(torch.equal(before[name], t) for name, t in model[1].named_parameters())


def test_a_constant_map_stays_finite() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    unit_variance(model, torch.zeros(4, 1, 5, 5))
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_dropout_is_on_as_in_training() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(1, 1, 1, bias=False))
    unit_variance(model, torch.ones(64, 1, 8, 8))
    # Behind dropout a constant picture holds 0 and 2, each in half of the places: deviation 1.
    assert abs(model[1].weight.item()) == pytest.approx(1, abs=0.02)
