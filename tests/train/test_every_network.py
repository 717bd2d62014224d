"""Each network goes through the loop by its short recipe, and every layer has moved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import convarium
from battery.conftest import ANY_SIDE, OFF_CATALOG, SMALLER_PX
from convarium import catalog
from convarium.data import Dataset, PixelScale, Split
from convarium.data.model import InMemory
from convarium.machine import Plan
from convarium.recipes import find_recipe
from convarium.train import Training
from quick_values import quick_values

BATCH = 4
# Chance passes over their layers, which other optimisers, masks and gradients must bear.
BY_CHANCE = ["stochastic_depth_20", "fractalnet10_c2"]


def _classifiers() -> list[str]:
    return [name for name, row in catalog.CATALOG.items() if row.task == "classification"]


NAMES = [
    *BY_CHANCE,
    *(
        pytest.param(n, marks=pytest.mark.slow)
        for n in (*_classifiers(), *OFF_CATALOG)
        if n not in BY_CHANCE
    ),
]


def _pictures(count: int, channels: int, side: int) -> Dataset:
    def split(count: int) -> Split:
        pixels = torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8)
        names = tuple(map(str, range(count)))
        return Split(torch.arange(count) % 10, names, InMemory(pixels), torch.arange(count))

    return Dataset(
        name="noise",
        kind="small",
        classes=tuple("abcdefghij"),
        channels=channels,
        side=side,
        train=split(count),
        test=split(BATCH),
        fingerprint="none",
        source="drawn in the test",
        scale=PixelScale((0.5,) * channels, (0.25,) * channels),
    )


@pytest.mark.parametrize("name", NAMES)
def test_some_steps_of_its_short_recipe(name) -> None:
    steps = 8 if name in BY_CHANCE else 3
    make: Callable[[], nn.Module]
    make, listed = OFF_CATALOG.get(name, (lambda: convarium.create_model(name), name))
    channels, side, _ = convarium.model_facts(listed).input
    if catalog.find(listed).family in ANY_SIDE:
        side = min(side, SMALLER_PX)
    with quick_values():
        model = make()
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    words = [f"batch={BATCH}", f"iterations={steps}", "init=paper"]
    recipe = find_recipe(listed, "small" if side <= SMALLER_PX else "photographs", "short", words)
    pictures = _pictures(steps * BATCH, channels, side)
    training = Training(model, pictures, recipe, 0, Plan(1))
    for _ in training.events():
        pass
    assert training.at.step == steps
    still = [key for key, p in model.named_parameters() if torch.equal(p, before[key])]
    if name not in BY_CHANCE and catalog.find(listed).family in ("stochastic_depth", "fractalnet"):
        assert len(still) < len(before) / 2  # of many layers some are never met in so few steps
    else:
        zeros = {key for key in before if key.endswith("bias") and not before[key].any()}
        assert set(still) <= zeros
