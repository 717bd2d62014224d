"""Whole networks in codebook files, written here as Deep Compression describes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import convarium
from convarium.errors import InputError

Arrays = dict[str, np.ndarray]


def compressed(
    name: str, weight: np.ndarray, values: int, kept: float
) -> tuple[Arrays, np.ndarray]:
    """The parts of one weight in the file, and the weight that they stand for.

    A share `kept` of the largest stays, in `values` steps; gaps are bridged at 255 zeros, by an
    index of the value 0.
    """
    low, high = weight.min(), weight.max()
    step = (high - low) / (values - 2)
    book = np.concatenate([np.zeros(1, "f4"), low + step * np.arange(values - 1, dtype="f4")])
    kind = np.int16 if values > 256 else np.uint8
    index = (np.rint((weight - low) / step) + 1).astype(kind)
    if kept == 1:
        return {f"{name}.codebook": book, f"{name}.index": index}, book[index]
    size = np.abs(weight)
    dropped = int((1 - kept) * size.size)
    stays = size >= np.partition(size.ravel(), dropped)[dropped]
    zeros = np.diff(np.flatnonzero(stays), prepend=-1) - 1
    bridges = zeros // 256
    ends = np.cumsum(bridges + 1) - 1
    indices, gaps = np.zeros(ends[-1] + 1, kind), np.full(ends[-1] + 1, 255, np.uint8)
    indices[ends], gaps[ends] = index[stays], zeros - 256 * bridges
    parts = {
        f"{name}.codebook": book,
        f"{name}.index": indices,
        f"{name}.gap": gaps,
        f"{name}.shape": np.array(weight.shape, np.int64),
    }
    return parts, np.where(stays, book[index], np.float32(0))


def write(path: Path, weights: Arrays, kept: float, values: int) -> Arrays:
    """Writes the file; matrices are pruned, kernels share values, biases stay as they are."""
    held: Arrays = {}
    means: Arrays = {}
    for name, array in weights.items():
        if array.ndim == 1:
            held[name] = means[name] = array
            continue
        parts, means[name] = compressed(name, array, values, kept if array.ndim == 2 else 1)
        held |= parts
    save_file(held, path, metadata={"format": "convarium-codebook/1"})
    return means


def weights_of(shapes: dict[str, tuple[int, ...]]) -> Arrays:
    rng = np.random.default_rng(3)
    made: Arrays = {}
    for name, shape in shapes.items():
        made[f"{name}.weight"] = rng.normal(0, 0.1, shape).astype("f4")
        made[f"{name}.bias"] = rng.normal(0, 0.1, shape[0]).astype("f4")
    return made


# Caffe's LeNet in Caffe's names, and a network of VGG's kind in ours: the papers' tables.
LENET = {"conv1": (20, 1, 5, 5), "conv2": (50, 20, 5, 5), "ip1": (500, 800), "ip2": (10, 500)}
ALEXNET = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 9216),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}
VGG_A_32PX = {
    "features.conv1_1": (64, 3, 3, 3),
    "features.conv2_1": (128, 64, 3, 3),
    "features.conv3_1": (256, 128, 3, 3),
    "features.conv3_2": (256, 256, 3, 3),
    "features.conv4_1": (512, 256, 3, 3),
    "features.conv4_2": (512, 512, 3, 3),
    "features.conv5_1": (512, 512, 3, 3),
    "features.conv5_2": (512, 512, 3, 3),
}


@pytest.mark.parametrize("values", [32, 300])
@pytest.mark.parametrize("kept", [0.5, 0.002])
def test_lenet_in_caffes_names(tmp_path, kept: float, values: int) -> None:
    """A share of 0.002 leaves gaps over 255; 300 values need indices of two bytes."""
    means = write(tmp_path / "w.safetensors", weights_of(LENET), kept, values)
    model = convarium.create_model("lenet_caffe")
    assert convarium.load_weights(model, tmp_path / "w.safetensors").source == "caffe"
    state = model.state_dict()
    for name, array in means.items():
        layer = ("features." if name.startswith("conv") else "classifier.") + name
        assert torch.equal(state[layer], torch.from_numpy(array)), name


@pytest.mark.slow
def test_alexnet_in_two_groups_goes_to_two_towers(tmp_path) -> None:
    means = write(tmp_path / "w.safetensors", weights_of(ALEXNET), 0.1, 32)
    model = convarium.create_model("alexnet_2gpu").eval()
    convarium.load_weights(model, tmp_path / "w.safetensors")
    one, two = model.tower1, model.tower2
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"):
        both = torch.cat([getattr(one, name).weight, getattr(two, name).weight])
        assert torch.equal(both, torch.from_numpy(means[f"{name}.weight"])), name
    assert torch.equal(model.fc8.weight, torch.from_numpy(means["fc8.weight"]))


@pytest.mark.slow
def test_a_network_of_vggs_kind(tmp_path) -> None:
    model = convarium.create_model("vgg_a_32px")
    heads = {k: v.numpy() for k, v in model.state_dict().items() if not k.startswith("features")}
    weights = weights_of(VGG_A_32PX) | heads
    means = write(tmp_path / "w.safetensors", weights, 0.3, 256)
    convarium.load_weights(model, tmp_path / "w.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, torch.from_numpy(means[name])), name


def test_another_networks_codebook_is_refused(tmp_path) -> None:
    weights = weights_of(LENET | {"conv2": (50, 20, 3, 3)})
    write(tmp_path / "w.safetensors", weights, 0.5, 32)
    model = convarium.create_model("lenet_caffe")
    with pytest.raises(InputError, match=r"conv2: 5x5 expected, file has 3x3"):
        convarium.load_weights(model, tmp_path / "w.safetensors")
