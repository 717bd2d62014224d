"""Weights trained by others, on the data they were trained for: the numbers they must give."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import convarium

pytestmark = [pytest.mark.data, pytest.mark.usefixtures("own_process")]


def _loaded(folder: Path, name: str, file: str) -> nn.Module:
    model = convarium.create_model(name).eval()
    convarium.load_weights(model, folder / "weights" / file)
    return model


@torch.no_grad()
def _tally(model: nn.Module, batches: Iterator[tuple[Tensor, Tensor]]) -> tuple[int, int, float]:
    """Right at top-1, right at top-5, mean cross-entropy."""
    first, fifth, loss, n = 0, 0, 0.0, 0
    for x, y in batches:
        logits = model(x)
        ranked = logits.topk(5).indices == y[:, None]
        first, fifth = first + int(ranked[:, 0].sum()), fifth + int(ranked.sum())
        loss += float(F.cross_entropy(logits, y, reduction="sum"))
        n += len(y)
    return first, fifth, loss / n


def _mnist(folder: Path, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
    with np.load(folder / "mnist" / "mnist.npz") as held:
        x, y = held["x_test"][start:stop], held["y_test"][start:stop]
    for at in range(0, len(x), 500):
        part = torch.from_numpy(x[at : at + 500]).float()[:, None] / 256
        yield part, torch.from_numpy(y[at : at + 500]).long()


def _cifar10(folder: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Delta-coded, as its README says; RGB / 255 less ImageNet's mean over its deviation."""
    with np.load(folder / "cifar10" / "cifar10.npz") as held:
        x = held["d_test"].cumsum(2, dtype="u1").cumsum(3, dtype="u1")
        y = held["y_test"]
    x[:, ::2] += x[:, 1:2]
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    for at in range(0, len(x), 500):
        part = (torch.from_numpy(x[at : at + 500]).float() / 255 - mean) / std
        yield part, torch.from_numpy(y[at : at + 500]).long()


def _photographs(folder: Path, n: int) -> Iterator[tuple[Tensor, Tensor]]:
    from PIL import Image
    from torchvision.transforms import v2

    turn = v2.Compose(
        [
            v2.Resize(256, antialias=True),
            v2.CenterCrop(224),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    place = folder / "imagenet-samples"
    with (place / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:n]
    for row in rows:
        with Image.open(place / row["file"]) as picture:
            yield turn(picture.convert("RGB"))[None], torch.tensor([int(row["class_index"])])


def test_lenet_of_caffe_on_mnist(shared_data: Path) -> None:
    model = _loaded(shared_data, "lenet_caffe", "lenet_iter_10000.caffemodel")
    right, _, loss = _tally(model, _mnist(shared_data, 0, 10_000))
    print(f"lenet_caffe: {10_000 - right} errors of 10,000, cross-entropy {loss:.5f}")
    assert abs(10_000 - right - 86) <= 1
    assert abs(loss - 0.02727) < 5e-5  # half of the printed digits, and other summing orders


@pytest.mark.slow
def test_resnet20_on_cifar10(shared_data: Path) -> None:
    model = _loaded(shared_data, "resnet20_cifar", "resnet20-12fca82f.th")
    right, _, loss = _tally(model, _cifar10(shared_data))
    print(f"resnet20_cifar: {10_000 - right} errors of 10,000, cross-entropy {loss:.4f}")
    assert abs(10_000 - right - 827) <= 1
    assert abs(loss - 0.3727) < 1e-4


def test_resnet20_loads(shared_data: Path) -> None:
    model = convarium.create_model("resnet20_cifar")
    file = shared_data / "weights" / "resnet20-12fca82f.th"
    report = convarium.load_weights(model, file)
    held = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    assert report.source == "akamaster"
    assert torch.equal(model.fc.weight, held["module.linear.weight"])
    assert torch.equal(
        model.conv4_x.conv4_3.bn2.running_var, held["module.layer3.2.bn2.running_var"]
    )


@pytest.mark.slow
def test_squeezenet_on_photographs(shared_data: Path) -> None:
    model = _loaded(shared_data, "squeezenet1_1", "squeezenet1_1_fp16.safetensors")
    first, fifth, _ = _tally(model, _photographs(shared_data, 200))
    print(f"squeezenet1_1: {first} top-1 and {fifth} top-5 right of 200")
    assert abs(first - 126) <= 1
    assert abs(fifth - 172) <= 1


def test_squeezenet_equals_torchvision_on_a_photograph(shared_data: Path) -> None:
    import torchvision
    from safetensors.torch import load_file

    file = shared_data / "weights" / "squeezenet1_1_fp16.safetensors"
    theirs = torchvision.models.squeezenet1_1(weights=None).eval()
    theirs.load_state_dict({key: tensor.float() for key, tensor in load_file(file).items()})
    ours = _loaded(shared_data, "squeezenet1_1", file.name)
    x, _ = next(_photographs(shared_data, 1))
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
