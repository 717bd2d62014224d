"""Weights out and back, bit for bit; torch.hub; the hub's mixin; codebooks; readers of others."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

import convarium
from convarium.errors import ExhaustedError, InputError, UsageError
from convarium.interop import export, register_reader
from convarium.interop.hub import card
from convarium.interop.readers import Foreign
from convarium.interop.readers.registry import unregister_reader
from interop.peers import randomise, same_state

ROOT = Path(__file__).resolve().parents[2]
# One member a family that is small enough to build at full size.
SMALL = (
    "lenet5 lenet_caffe nin_cifar10 googlenet resnet20_cifar preact_resnet18 wrn_16_4 "
    "stochastic_depth_110 fractalnet_thin_c2 densenet_40_12_cifar squeezenet1_1 "
    "mobilenet_v1_025_128 darknet19 vgg_a_32px"
).split()


@pytest.mark.parametrize("name", SMALL)
def test_own_names_go_out_and_come_back(tmp_path, name: str) -> None:
    model, other = convarium.create_model(name), convarium.create_model(name)
    randomise(model)
    convarium.export_weights(model, tmp_path / "w.safetensors")
    report = convarium.load_weights(other, tmp_path / "w.safetensors")
    assert report.source == "convarium"
    assert same_state(model, other)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet_2gpu", "alexnet_owt", "zfnet", "vgg_a_lrn", "vgg_c"])
def test_large_networks_go_out_and_come_back(tmp_path, name: str) -> None:
    test_own_names_go_out_and_come_back(tmp_path, name)


def test_akamasters_names(tmp_path) -> None:
    model, other = (convarium.create_model("resnet20_cifar") for _ in range(2))
    randomise(model)
    convarium.export_weights(model, tmp_path / "w.safetensors", names="akamaster")
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        keys = set(file.keys())
    assert {"linear.weight", "layer3.2.bn2.running_var"} <= keys
    assert convarium.load_weights(other, tmp_path / "w.safetensors").source == "akamaster"
    assert same_state(model, other)


@pytest.mark.parametrize(
    ("name", "names", "words"),
    [
        ("googlenet", "torchvision", "batch norms"),
        ("resnet50", "timm", "stride stands in the 3x3"),
        ("lenet5", "torchvision", "no network equal"),
        ("lenet5", "torchvison", "Did you mean torchvision"),
    ],
)
def test_only_equal_networks_get_other_names(tmp_path, name, names, words) -> None:
    with pytest.raises(UsageError, match=words):
        convarium.export_weights(convarium.create_model(name), tmp_path / "w", names=names)
    assert list(tmp_path.iterdir()) == []


def test_torch_hub_finds_every_network() -> None:
    entries = runpy.run_path(str(ROOT / "hubconf.py"))
    assert all(callable(entries.get(name)) for name in (*convarium.list_models(), "vgg16"))
    model = torch.hub.load(str(ROOT), "lenet_caffe", source="local", num_classes=7)
    assert model.classifier.ip2.out_features == 7


def test_the_mixin_saves_and_loads(tmp_path) -> None:
    pytest.importorskip("huggingface_hub")
    from convarium.interop.hub import hub_class

    network = hub_class()("lenet_caffe", num_classes=4)
    network.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text("utf-8").startswith("---\nlibrary_name: convarium")
    again = hub_class().from_pretrained(tmp_path)
    assert same_state(network, again)


def test_the_card_is_filled_from_the_facts() -> None:
    text, facts = card("vgg16"), convarium.model_facts("vgg_d")
    assert facts.paper.title in text
    assert f"{facts.params.exact:,}" in text
    assert facts.params.printed in text
    assert f"top-5 {facts.errors[0].top5} %" in text
    assert "not available: not counted" in card("stochastic_depth_152_svhn")


def _book(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path = tmp_path / "w.safetensors"
    save_file(tensors, path, metadata={"format": "convarium-codebook/1"})
    return path


def test_a_codebook_file_is_written_out(tmp_path) -> None:
    model = convarium.create_model("lenet_caffe")
    tensors = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    key, pruned = "classifier.ip2.weight", "classifier.ip1.weight"
    del tensors[key], tensors[pruned]
    book = torch.tensor([-0.5, 0.0, 0.25])
    index = (torch.arange(5000) % 3).to(torch.uint8).reshape(10, 500)
    tensors |= {f"{key}.codebook": book, f"{key}.index": index}
    # Kept: places 2, 2 + 1 + 255 (a filler of 0) and 258 + 1 + 1.
    tensors |= {
        f"{pruned}.codebook": book.clone(),
        f"{pruned}.index": torch.tensor([2, 1, 0], dtype=torch.uint8),
        f"{pruned}.gap": torch.tensor([2, 255, 1], dtype=torch.uint8),
        f"{pruned}.shape": torch.tensor([500, 800]),
    }
    convarium.load_weights(model, _book(tmp_path, tensors))
    assert torch.equal(model.classifier.ip2.weight, book[index.long()])
    flat = model.classifier.ip1.weight.detach().flatten()
    assert {int(i): float(flat[i]) for i in flat.nonzero()} == {2: 0.25, 260: -0.5}


def test_a_reader_of_ones_own(tmp_path) -> None:
    model = convarium.create_model("lenet_caffe")
    tensors = {key: tensor + 1 for key, tensor in model.state_dict().items()}
    path = tmp_path / "w.mine"
    path.write_bytes(b"MINE")

    def read_mine(file: Path, budget_bytes: int) -> Foreign:
        assert file == path
        return Foreign(tensors, str(file))

    register_reader("mine", lambda file, head: head.startswith(b"MINE"), read_mine)
    try:
        convarium.load_weights(model, path)
        assert torch.equal(model.classifier.ip2.bias, tensors["classifier.ip2.bias"])
        with pytest.raises(UsageError, match="registered already"):
            register_reader("mine", lambda file, head: True, read_mine)
    finally:
        unregister_reader("mine")
    with pytest.raises(InputError, match="no weight file known"):
        convarium.load_weights(model, path)


def test_convert(tmp_path, capsys) -> None:
    import json

    from convarium.cli import main

    model = convarium.create_model("squeezenet1_1")
    convarium.export_weights(model, tmp_path / "a.safetensors")
    a, b = str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")
    words = ["convert", a, b, "--network", "squeezenet1_1", "--to", "torchvision", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["source"] == "convarium"
    assert told["numbers"] == 1_235_496  # torchvision's documented count
    assert torch.equal(load_file(b)["classifier.1.weight"], model.conv10.weight)
    assert main(["convert", b, a, "--network", "squeezenet1_0"]) == 3
    assert "features.conv1" in capsys.readouterr().err


def test_a_full_disk_is_told_as_one(tmp_path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(export, "save_file", full)
    with pytest.raises(ExhaustedError, match="No space left on device"):
        convarium.export_weights(convarium.create_model("lenet_caffe"), tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())
