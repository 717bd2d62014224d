"""Networks whose state dicts fit each other and that compute different things are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import convarium
from convarium.errors import InputError
from convarium.interop.structure import structure_problem
from interop.peers import same_state

# A network, one whose weights have its names and shapes, and the first module that differs.
PAIRS = (
    ("resnet20_cifar", "plain20_cifar", "conv2_x.conv2_1.shortcut"),
    ("resnet18_a", "plain18", "conv2_x.conv2_1.shortcut"),
    ("resnet50", "resnet50_v1_5", "conv3_x.conv3_1.conv1 is Conv2d of stride 1"),
    ("resnet50_v1_5", "resnet50", "conv3_x.conv3_1.conv1 is Conv2d of stride 2"),
    ("vgg_a", "vgg_a_lrn", "features.lrn1"),
    ("squeezenet1_0", "squeezenet_simple_bypass", "features.fire3 is BypassFire"),
    ("resnet110_cifar", "stochastic_depth_110", "conv2_x.conv2_1 is SurvivingBasicBlock"),
)


def on_meta(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return convarium.create_model(name)


@pytest.mark.parametrize(("ours", "theirs", "words"), PAIRS)
def test_twins_by_name_and_shape_are_not_equal(ours: str, theirs: str, words: str) -> None:
    model, other = on_meta(ours), on_meta(theirs)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (model, other)]
    assert shapes[0] == shapes[1]  # what makes a silent exchange possible
    assert words in str(structure_problem(model, theirs))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("resnet20_cifar", "resnet20_cifar"),
        ("resnet34_b", "resnet34"),
        ("mobilenet_v1_025_128", "mobilenet_v1_025_224"),
        ("resnet20_cifar", "no network of ours"),
    ],
)
def test_equal_networks_have_no_difference(ours: str, theirs: str) -> None:
    assert structure_problem(on_meta(ours), theirs) is None


def test_weights_of_a_twin_are_refused_and_order_loads_them(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    plain, ours = (convarium.create_model(n) for n in ("plain20_cifar", "resnet20_cifar"))
    convarium.export_weights(plain, path)
    before = {key: tensor.clone() for key, tensor in ours.state_dict().items()}
    with pytest.raises(InputError, match="the weights of plain20_cifar, another network: conv2_x"):
        convarium.load_weights(ours, path)
    assert all(torch.equal(before[key], tensor) for key, tensor in ours.state_dict().items())
    convarium.load_weights(ours, path, source="order")
    assert same_state(ours, plain)


def test_a_rate_of_dropout_and_a_frozen_norm_are_no_other_network(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    theirs, ours = (convarium.create_model("nin_cifar10", num_classes=n) for n in (10, 10))
    ours.features.drop1.p = 0.1
    convarium.export_weights(theirs, path)
    convarium.load_weights(ours, path)
    assert same_state(ours, theirs)
    frozen = convarium.create_model("resnet20_cifar")
    convarium.freeze(frozen, "conv2_x")
    assert structure_problem(frozen, "resnet20_cifar") is None
    del frozen.catalog_name
    assert structure_problem(frozen, "resnet20_cifar") is None


def test_a_file_of_others_may_name_any_network(tmp_path: Path) -> None:
    """Only files of ours mean ours by a name; with options of the builder a name is not all."""
    path = tmp_path / "w.safetensors"
    ours = convarium.create_model("resnet20_cifar")
    state = ours.state_dict()
    for more in ({}, {"schema": "convarium/1", "options": '{"rate": 0.5}'}):
        save_file(state, path, metadata={"network": "plain20_cifar", **more})
        convarium.load_weights(ours, path)
    save_file(state, path, metadata={"network": "plain20_cifar", "schema": "convarium/1"})
    with pytest.raises(InputError, match="another network"):
        convarium.load_weights(ours, path)
