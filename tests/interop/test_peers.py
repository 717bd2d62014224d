"""State dicts of torchvision and timm, in and out again: equal numbers, equal bits."""

from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import load_file, save_file

import convarium
from interop.peers import FAST, PEERS, peer, pictures, relative

CASES = [
    pytest.param(*row, id=key, marks=() if key in FAST else pytest.mark.slow)
    for row in PEERS
    for key in (f"{row[1]}:{row[2]}",)
]


@pytest.mark.parametrize(("ours", "library", "theirs", "side"), CASES)
def test_equal_outputs(ours: str, library: str, theirs: str, side: int) -> None:
    their_net, our_net = peer(library, theirs), convarium.create_model(ours).eval()
    report = convarium.load_weights(our_net, their_net.state_dict())
    assert report.kept == ()
    x = pictures(side)
    with torch.no_grad():
        single = relative(our_net(x.float()), their_net(x.float()))
        double = relative(our_net.double()(x), their_net.double()(x))
    assert single < 1e-5
    assert double < 1e-10


@pytest.mark.parametrize(("ours", "library", "theirs", "side"), CASES)
def test_out_in_their_names_and_back(tmp_path, ours, library, theirs, side) -> None:
    their_net, our_net = peer(library, theirs), convarium.create_model(ours)
    convarium.load_weights(our_net, their_net.state_dict(), source=library)
    convarium.export_weights(our_net, tmp_path / "w.safetensors", names=library)
    written, given = load_file(tmp_path / "w.safetensors"), their_net.state_dict()
    assert set(written) == set(given)
    assert all(torch.equal(written[key], given[key]) for key in given)


def test_half_precision_is_widened(tmp_path) -> None:
    theirs, ours = peer("torchvision", "squeezenet1_1"), convarium.create_model("squeezenet1_1")
    halves = {key: tensor.half() for key, tensor in theirs.state_dict().items()}
    save_file(halves, tmp_path / "w.safetensors")
    convarium.load_weights(ours, tmp_path / "w.safetensors")
    assert torch.equal(ours.features.conv1.weight, halves["features.0.weight"].float())


@pytest.mark.slow
def test_a_checkpoint_around_the_state_dict(tmp_path) -> None:
    theirs, ours = peer("torchvision", "squeezenet1_1"), convarium.create_model("squeezenet1_1")
    wrapped = {f"module.{key}": tensor for key, tensor in theirs.state_dict().items()}
    torch.save({"epoch": 7, "state_dict": wrapped, "optimizer": {}}, tmp_path / "w.pth")
    report = convarium.load_weights(ours, tmp_path / "w.pth")
    assert report.source == "torchvision"
    assert torch.equal(ours.conv10.weight, theirs.state_dict()["classifier.1.weight"])


def test_the_epsilon_comes_along_and_is_written(tmp_path) -> None:
    theirs = peer("timm", "mobilenetv1_100")
    ours, again = (convarium.create_model("mobilenet_v1") for _ in range(2))
    report = convarium.load_weights(ours, theirs.state_dict())
    assert any("epsilon of 27 batch norms" in note for note in report.notes)
    assert any("ReLU6" in note for note in report.notes)
    convarium.export_weights(ours, tmp_path / "w.safetensors")
    convarium.load_weights(again, tmp_path / "w.safetensors")
    x = pictures(64).float()
    assert torch.equal(ours.eval()(x), again.eval()(x))


def test_names_that_no_rule_knows_are_matched_by_order() -> None:
    theirs, ours = peer("torchvision", "resnet18"), convarium.create_model("resnet18_b").eval()
    renamed = {}
    for key, tensor in theirs.state_dict().items():
        name, _, role = key.rpartition(".")
        renamed[f"part_{name.replace('.', '_')}.{role}"] = tensor
    assert convarium.load_weights(ours, renamed).source == "order"
    x = pictures(64).float()
    assert relative(ours(x), theirs(x)) < 1e-5


def test_densenet_as_torchvision_first_saved_it() -> None:
    theirs, ours = peer("torchvision", "densenet121"), convarium.create_model("densenet121")
    state = theirs.state_dict()
    dotted = r"\1.\2.\3"
    old = {re.sub(r"(denselayer\d+)\.(norm|conv)(\d)", dotted, key): state[key] for key in state}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    convarium.load_weights(ours, old)
    last = ours.features.dense_block4.layer16.second.conv.weight
    assert torch.equal(last, old["features.denseblock4.denselayer16.conv.2.weight"])
