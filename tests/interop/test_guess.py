"""A match by order passes only where the order can mean one thing; else one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import convarium
from convarium.errors import InputError
from convarium.interop.guess import GUESSED
from interop.peers import randomise, same_state
from long_networks import marked

FRACTAL = "fractalnet20_c3_cifar"


def _renamed(state: dict[str, Tensor], *, norms_first: bool = False) -> dict[str, Tensor]:
    """Under names of nobody: part1, part2 .. in the order of the layers."""
    numbers: dict[str, int] = {}
    for key in state:
        numbers.setdefault(key.rpartition(".")[0], len(numbers))
    named = {
        f"part{numbers[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": tensor
        for key, tensor in state.items()
    }
    if norms_first:
        flat = {key.partition(".")[0] for key, t in named.items() if "running_mean" in key}
        named = dict(sorted(named.items(), key=lambda item: item[0].partition(".")[0] not in flat))
    return named


def _refused(ours: str, state: dict[str, Tensor], message: str) -> None:
    model = convarium.create_model(ours)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        convarium.load_weights(model, state)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("resnet20_cifar", "plain20_cifar"), ("resnet110_cifar", "preact_resnet110")],
)
def test_a_residual_networks_file_fits_no_other_network(theirs: str, ours: str) -> None:
    """All shapes are equal, and so is the order: only the names tell, and the outputs differ."""
    model = convarium.create_model(theirs)
    names = {layer: f"x.{layer}" for layer in model.state_dict()}
    stages = {f"conv{n}_x.conv{n}_": f"layer{n - 1}." for n in (2, 3, 4)}
    for key in names:
        for stage, layer in stages.items():
            if key.startswith(stage):
                block, _, rest = key.removeprefix(stage).partition(".")
                names[key] = f"{layer}{int(block) - 1}.{rest}"
    state = {names[key].removeprefix("x."): t for key, t in model.state_dict().items()}
    _refused(ours, state, r"layer1\.0\.conv1, a layer of a residual network whose blocks are not")


def test_a_guess_is_told() -> None:
    theirs, ours = (convarium.create_model("plain20_cifar") for _ in range(2))
    randomise(theirs)
    report = convarium.load_weights(ours, _renamed(theirs.state_dict()))
    assert (report.source, report.notes) == ("order", (GUESSED,))
    assert same_state(ours, theirs)


def test_branches_whose_layers_all_differ_are_matched() -> None:
    theirs, ours = (convarium.create_model("squeezenet1_1") for _ in range(2))
    assert GUESSED in convarium.load_weights(ours, _renamed(theirs.state_dict())).notes
    assert same_state(ours, theirs)


@pytest.mark.parametrize("name", marked(["resnet50", FRACTAL], {FRACTAL}))
def test_twins_side_by_side_are_not_told_apart(name: str) -> None:
    """ResNet-50's conv2_1 ends in two 1x1 layers of 64 to 256; a fractal's columns are alike."""
    _refused(name, _renamed(convarium.create_model(name).state_dict()), "lie side by side in one")


def test_norms_that_stand_elsewhere_are_not_told_apart() -> None:
    """In a block of ResNet-18, the second norm and the shortcut's have one size."""
    state = convarium.create_model("resnet18_b").state_dict()
    _refused("resnet18_b", _renamed(state, norms_first=True), "its norms stand elsewhere")


def test_source_order_loads_all_the_same() -> None:
    theirs, ours = (convarium.create_model("resnet18_b") for _ in range(2))
    report = convarium.load_weights(ours, _renamed(theirs.state_dict()), source="order")
    assert GUESSED not in report.notes
    assert np.array_equal(ours.fc.weight.detach(), theirs.fc.weight.detach())
