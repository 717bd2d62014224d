"""Option A's sub-sampling while training: the same numbers both ways, and the layer put back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convarium.blocks.shortcut import Subsample
from convarium.machine import Plan
from convarium.train.subsample import pooled_subsampling

LAST = torch.channels_last


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("side", "stride"), [(8, 2), (7, 2), (5, 3), (1, 2)])
def test_numbers_and_gradients_are_those_of_the_slice(dtype, side, stride) -> None:
    net = nn.Sequential(Subsample(stride))
    images = torch.randn(3, 4, side, side).to(dtype).to(memory_format=LAST)
    found = []
    for layout in ("contiguous", "channels_last"):
        x = images.clone().requires_grad_()
        with pooled_subsampling(net, Plan(1, layout)):
            y = net(x)
        y.square().sum().backward()
        found.append((y.detach(), x.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_the_gradient_keeps_the_layout() -> None:
    x = torch.randn(2, 4, 8, 8).to(memory_format=LAST).requires_grad_()
    net = nn.Sequential(Subsample(2))
    with pooled_subsampling(net, Plan(1, "channels_last")):
        net(x).square().sum().backward()
    assert x.grad.is_contiguous(memory_format=LAST)


def test_the_layer_is_put_back() -> None:
    net = nn.Sequential(Subsample(2))
    with pooled_subsampling(net, Plan(1, "channels_last")):
        pass
    assert "forward" not in vars(net[0])
