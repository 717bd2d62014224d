"""Networks on a GPU: the answers of the processor, the same bits every time, in every plan."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import convarium
from battery.conftest import OFF_CATALOG, ONE_EACH, SMALLER_PX
from convarium.machine import Plan
from convarium.recipes import find_recipe
from convarium.train.masks import masks_by_sample
from convarium.train.optimizers import make_optimizer
from convarium.train.step import train_step
from quick_values import quick_values

pytestmark = pytest.mark.gpu
PLANS = [
    Plan(2, layout, precision, device="cuda")
    for layout in ("contiguous", "channels_last")
    for precision in ("fp32", "bf16")
]
BATCH, STEPS = 8, 3


def _model(name: str) -> nn.Module:
    make, _ = OFF_CATALOG.get(name, (lambda: convarium.create_model(name), name))
    torch.manual_seed(0)
    with quick_values():
        return make()


def _pictures(name: str, count: int) -> Tensor:
    listed = OFF_CATALOG.get(name, (None, name))[1]
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, *convarium.model_facts(listed).input, generator=generator)


@pytest.mark.parametrize("name", ONE_EACH)
def test_answers_are_the_processors(name) -> None:
    """In float32, which is no TensorFloat-32: that would be 1e-3 off."""
    model, pictures = _model(name).eval(), _pictures(name, 2)
    with torch.inference_mode():
        expected = model(pictures)
        plan = Plan(2, device="cuda")
        with plan.settings():
            found = plan.place(model)(plan.move(pictures)).cpu()
    off = (found - expected).abs().max() / expected.abs().max()
    assert off < 2e-5


def _trained(name: str, plan: Plan) -> tuple[dict[str, Tensor], list[float]]:
    """Weights and losses behind a few steps of the network's own recipe."""
    listed = OFF_CATALOG.get(name, (None, name))[1]
    kind = "small" if convarium.model_facts(listed).input[1] <= SMALLER_PX else "photographs"
    recipe = find_recipe(listed, kind)
    model = plan.place(_model(name)).train()
    images, labels = plan.move(_pictures(name, BATCH)), torch.arange(BATCH, device="cuda")
    losses = []
    with plan.settings():
        optimizer = make_optimizer(model, recipe)
        for step in range(STEPS):
            torch.manual_seed(step)
            with masks_by_sample(model, 0, step, torch.arange(BATCH)):
                told = train_step(model, optimizer, images, labels, recipe=recipe, plan=plan)
            losses.append(float(told[0]))
    return {key: t.cpu() for key, t in model.state_dict().items()}, losses


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.layout}-{plan.precision}")
@pytest.mark.parametrize("name", ONE_EACH)
def test_training_twice_gives_the_same_bits(name, plan) -> None:
    (one, losses), (other, again) = _trained(name, plan), _trained(name, plan)
    assert losses == again
    assert [key for key in one if not torch.equal(one[key], other[key])] == []
