"""Layers copied from another network: all equal ones, or VGG's first four and its three FC."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from convarium.errors import InputError
from convarium.nets import vgg
from convarium.nets.build import build
from convarium.recipes import paper_recipe
from convarium.train import Training
from convarium.train.initialise import copy_equal
from train.conftest import small_net


def _marked(model: nn.Module, value: float) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(t, value) for name, t in model.state_dict().items()}


@pytest.mark.parametrize("column", "BCDE")
def test_a_deeper_vgg_starts_from_four_convolutions_and_three_fc_of_a(column, monkeypatch) -> None:
    """VGG, section 3.1; "the intermediate layers were initialised randomly"."""
    monkeypatch.setattr(vgg, "HIDDEN", 8)
    with torch.device("meta"):
        shallow, deep = build("vgg_a"), build(f"vgg_{column.lower()}")
    shallow, deep = (net.to_empty(device="cpu") for net in (shallow, deep))
    recipe = paper_recipe(f"vgg_{column.lower()}")
    deep.load_state_dict(_marked(deep, 0.0))
    copied = copy_equal(deep, _marked(shallow, 1.0), recipe.init_convolutions)
    # The first four of column A, under the names that all columns give a row of their stage.
    of_a = [f"features.conv{name}" for name in ("1_1", "2_1", "3_1", "3_2")]
    of_a += [f"classifier.fc{number}" for number in (6, 7, 8)]
    expected = {f"{layer}.{part}" for layer in of_a for part in ("weight", "bias")}
    assert set(copied) == expected
    ones = {name for name, t in deep.state_dict().items() if t.flatten()[0] == 1}
    assert ones == expected


def test_all_equal_layers_are_copied_and_others_keep_their_values(bars, recipe, plan) -> None:
    model = small_net()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    trained = _marked(model, 0.25)
    trained["5.weight"] = torch.zeros(7, 384)  # of a network for seven classes
    training = Training(model, bars, recipe, 0, plan, trained=trained)
    training.run.start(training.trained)
    for name, tensor in model.state_dict().items():
        if name == "5.weight":
            assert torch.equal(tensor, before[name])
        else:
            assert (tensor == trained[name]).all(), name


def test_the_recipes_number_of_convolutions_counts_in_a_run(bars, recipe, plan) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), nn.Flatten(), nn.Linear(32, 4))
    second = model[1].weight.detach().clone()
    training = Training(model, bars, replace(recipe, init_convolutions=1), 0, plan)
    training.run.start(_marked(model, 0.5))
    assert (model[0].weight == 0.5).all()
    assert (model[3].weight == 0.5).all()
    assert torch.equal(model[1].weight, second)


def test_a_network_that_shares_no_layer_is_refused() -> None:
    with pytest.raises(InputError, match="share no layer"):
        copy_equal(small_net(), {"other.weight": torch.zeros(3)})
