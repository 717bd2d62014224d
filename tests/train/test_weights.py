"""Weights go out and come back the same; what does not fit is refused and changes nothing."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from convarium.errors import InputError
from convarium.train import load_own_weights, save_weights
from train.conftest import small_net


def _tensors() -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in small_net().state_dict().items()}


def test_out_and_back(tmp_path) -> None:
    model, other = small_net(), small_net()
    model(torch.rand(8, 1, 8, 8))  # moves batch norm's running values
    save_weights(model, tmp_path / "w.safetensors")
    load_own_weights(other, tmp_path / "w.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_channels_last_weights_come_back(tmp_path) -> None:
    model, other = small_net().to(memory_format=torch.channels_last), small_net()
    save_weights(model, tmp_path / "w.safetensors")
    load_own_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(other[0].weight, model[0].weight)


def test_one_tensor_under_two_names(tmp_path) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    save_weights(model, tmp_path / "w.safetensors")
    load_own_weights(model, tmp_path / "w.safetensors")


def _without(tensors):
    del tensors["5.weight"]


def _extra(tensors):
    tensors["6.weight"] = torch.zeros(1)


def _reshaped(tensors):
    tensors["5.weight"] = tensors["5.weight"].T.contiguous()


def _half(tensors):
    tensors["0.bias"] = tensors["0.bias"].half()


def _nan(tensors):
    tensors["0.weight"][0, 0, 0, 0] = float("nan")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without, r"lacks 5\.weight"),
        (_extra, r"has 6\.weight, which the network lacks"),
        (_reshaped, r"5\.weight is 384x4, the network has 4x384"),
        (_half, r"0\.bias is torch\.float16"),
        (_nan, r"0\.weight holds values that are no finite numbers"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path, change, message) -> None:
    tensors = _tensors()
    change(tensors)
    save_file(tensors, tmp_path / "w.safetensors")
    model = small_net()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        load_own_weights(model, tmp_path / "w.safetensors")
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


@pytest.mark.parametrize(
    "content", [b"", b"12345678", b"\xff" * 100, b"\x10\0\0\0\0\0\0\0{not json}      "]
)
def test_files_that_are_no_safetensors(tmp_path, content) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_own_weights(small_net(), tmp_path / "w.safetensors")


def test_a_cut_file(tmp_path) -> None:
    save_weights(small_net(), tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[:-10])
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_own_weights(small_net(), tmp_path / "w.safetensors")


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.safetensors"):
        load_own_weights(small_net(), tmp_path / "none.safetensors")
