"""The rows against torchvision's networks of the same structure, call by call."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from convarium.facts import layer_rows

models = pytest.importorskip("torchvision.models")
# Of these the ledger says that torchvision has the same parameters and multiply-adds, or the same
# layers at another picture size. AlexNet, GoogLeNet and ResNet v1 are not among them.
PEERS = {
    "vgg_b": "vgg13",
    "resnet34_b": "resnet34",
    "resnet101_v1_5": "resnet101",
    "wrn_50_2_bottleneck": "wide_resnet50_2",
    "resnext101_64x4d": "resnext101_64x4d",
    "densenet161": "densenet161",
    "densenet169": "densenet169",
    "squeezenet1_1": "squeezenet1_1",
}


@pytest.mark.parametrize(("name", "peer"), PEERS.items())
def test_rows_are_the_peers_calls(name: str, peer: str) -> None:
    rows = [row for row in layer_rows(name) if row.kind in ("conv", "linear")]
    ours = [(row.kind, row.kernel, row.stride, row.pad, row.groups, row.output) for row in rows]
    with torch.device("meta"):
        assert ours == calls(getattr(models, peer)(weights=None).eval(), rows[0].input)


def calls(model: nn.Module, size: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """Kind, kernel, stride, pad, groups and output of each convolution and linear layer."""
    found: list[tuple[Any, ...]] = []

    def note(layer: nn.Module, _: Any, output: torch.Tensor) -> None:
        shape = tuple(output.shape[1:])
        if isinstance(layer, nn.Conv2d):
            window = (layer.kernel_size[0], layer.stride[0], layer.padding[0], layer.groups)
            found.append(("conv", *window, shape))
        elif isinstance(layer, nn.Linear):
            found.append(("linear", None, None, None, 1, shape))

    for module in model.modules():
        module.register_forward_hook(note)
    with torch.no_grad():
        model(torch.empty(1, *size))
    return found
