"""The short recipes: a row a network of the default races, every value with its source."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from math import inf

import pytest

from convarium import list_models
from convarium.errors import UsageError
from convarium.recipes import SHORT, Recipe, recipe_for
from convarium.recipes.schedule import Length

RACE = """
    lenet5 nin_cifar10 vgg_a_32px googlenet_32px plain20_cifar resnet20_cifar
    densenet_40_12_cifar squeezenet_32px mobilenet_v1_050_32px
""".split()
PHOTOGRAPHS = "squeezenet1_1 mobilenet_v1_050_160 resnet18_b googlenet".split()
EVERY = [recipe for rows in SHORT.values() for recipe in rows.values()]


def test_the_races_have_their_rows() -> None:
    assert list(SHORT["small"]) == RACE
    assert list(SHORT["photographs"]) == PHOTOGRAPHS


@pytest.mark.parametrize("recipe", EVERY, ids=lambda r: r.name)
def test_every_field_has_a_source(recipe) -> None:
    for f in fields(Recipe):
        assert f.name == "sources" or recipe.source_of(f.name), f.name
    assert set(recipe.sources) == {f.name for f in fields(Recipe)} - {"sources"}


@pytest.mark.parametrize("recipe", EVERY, ids=lambda r: r.name)
def test_networks_without_batch_norm_start_at_unit_variance_and_clip(recipe) -> None:
    assert (recipe.init == "unit_variance") == (recipe.clip == 1.0)


@pytest.mark.parametrize("kind", SHORT)
def test_every_classifier_has_a_recipe(kind) -> None:
    for name in list_models(task="classification"):
        assert (recipe_for(name, kind).epochs or 0) >= 1


def test_an_alias_has_its_networks_recipe() -> None:
    assert recipe_for("resnet18", "photographs") == SHORT["photographs"]["resnet18_b"]


@pytest.mark.parametrize("wrong", [("resnet21_cifar", "small"), ("lenet5", "tiny")])
def test_unknown_names(wrong) -> None:
    with pytest.raises(UsageError, match="is named"):
        recipe_for(*wrong)


@pytest.mark.parametrize("wrong", [{"init": "zero"}, {"epochs": 0}, {"border": "none"}])
def test_values_that_no_recipe_takes(wrong) -> None:
    with pytest.raises(UsageError, match="must be"):
        replace(EVERY[0], **wrong)


def test_the_rate_rises_then_falls_to_0_along_lines() -> None:
    recipe = Recipe("r", epochs=8, lr=0.4, warmup="2 epochs from 0")
    rates = [recipe.lr_at(step / 8, Length(8, 80)) for step in range(9)]
    expected = [0, 0.2, 0.4, *(0.4 * left / 6 for left in (5, 4, 3, 2, 1, 0))]
    assert rates == pytest.approx(expected)
    # A run shorter than four warm-ups rises for a quarter of itself.
    assert recipe.lr_at(0.25, Length(1, 10)) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("length", "schedule", "batches", "ends"),
    [
        ({"epochs": 2}, "step 0.1 at 2,3 epochs", inf, "ends at 2"),
        ({"epochs": 2}, "step 0.1 at 1,3 epochs", inf, ""),
        ({"epochs": 2}, "step 0.5 every 8 epochs", inf, "ends at 2"),
        ({"epochs": 20}, "step 0.1 at 32000,48000 iterations", 391, "ends at 7820"),
        ({"epochs": 20}, "step 0.1 at 32000,48000 iterations", inf, ""),  # nobody knows
        ({"epochs": 90}, "step 0.1 at 32000,48000 iterations", 391, ""),
        ({"iterations": 50}, "rates 0.1 0.01 at 3 epochs", 40, "ends at 1.25"),
        ({"iterations": 50}, "rates 0.1 0.01 at 3 epochs", inf, ""),
        ({"iterations": 50}, "linear to 0", 40, ""),
    ],
)
def test_a_schedule_whose_first_place_lies_behind_the_end_is_told(
    length: dict[str, int], schedule: str, batches: float, ends: str
) -> None:
    told = Recipe("r", lr=0.1, schedule=schedule, **length).unmoved(batches)
    assert bool(told) == bool(ends)
    assert ends in told


def test_a_record_keeps_values_and_sources() -> None:
    kept = recipe_for("lenet5", "small").to_dict()
    assert kept["epochs"] == 14
    assert kept["sources"]["weight_decay"].startswith("AlexNet")


@pytest.mark.parametrize("recipe", EVERY, ids=lambda r: r.name)
def test_a_record_gives_a_recipe_back_as_it_was(recipe) -> None:
    assert json.loads(json.dumps(recipe.to_dict())) == recipe.to_dict()
