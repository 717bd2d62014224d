"""Layers computed otherwise while training: the same numbers both ways, and the layer put back."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convarium import create_model
from convarium.blocks.shortcut import Subsample
from convarium.machine import Plan
from convarium.train.kernels import faster_layers

LAST = torch.channels_last
HALF = Plan(1, "channels_last", "bf16")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("side", "stride"), [(8, 2), (7, 2), (5, 3), (1, 2)])
def test_numbers_and_gradients_are_those_of_the_slice(dtype, side, stride) -> None:
    net = nn.Sequential(Subsample(stride))
    images = torch.randn(3, 4, side, side).to(dtype).to(memory_format=LAST)
    found = []
    for layout in ("contiguous", "channels_last"):
        x = images.clone().requires_grad_()
        with faster_layers(net, Plan(1, layout)):
            y = net(x)
        y.square().sum().backward()
        found.append((y.detach(), x.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_the_gradient_keeps_the_layout() -> None:
    x = torch.randn(2, 4, 8, 8).to(memory_format=LAST).requires_grad_()
    net = nn.Sequential(Subsample(2))
    with faster_layers(net, Plan(1, "channels_last")):
        net(x).square().sum().backward()
    assert x.grad.is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(
    ("side", "stride"), [(8, 2), (7, 2), (9, 3), (1, 2), (2, 2), (2, 3), (8, (1, 2))]
)
def test_a_strided_depthwise_layer_is_right_within_bfloat16(layout, kernel, side, stride) -> None:
    plan = Plan(1, layout, "bf16")
    made = nn.Conv2d(16, 16, kernel, stride, padding=kernel // 2, groups=16, bias=False)
    layer = plan.place(made)
    images = torch.randn(3, 16, side, side).bfloat16()
    x = plan.move(images.clone()).requires_grad_()
    with faster_layers(nn.Sequential(layer), plan), plan.autocast():
        y = layer(x)
    weighed = torch.randn_like(y)
    y.backward(weighed)
    # The same in float64, with weights as bfloat16 has them.
    exact = images.double().requires_grad_()
    w = layer.weight.detach().bfloat16().double().requires_grad_()
    expected = F.conv2d(exact, w, None, stride, kernel // 2, 1, 16)
    expected.backward(weighed.double())
    # Sums are float32, so that a result is off by one rounding: 2^-9 of it.
    near = {"rtol": 2**-8, "atol": 1e-5}
    assert torch.allclose(y.double(), expected, **near)
    assert torch.allclose(x.grad.double(), exact.grad, **near)
    assert torch.allclose(layer.weight.grad.double(), w.grad, **near)
    if layout == "channels_last":
        assert x.grad.is_contiguous(memory_format=LAST)


def test_forward_and_weights_gradient_keep_the_bits_of_the_plain_layer() -> None:
    layer = HALF.place(nn.Conv2d(32, 32, 3, 2, padding=1, groups=32, bias=False))
    x = HALF.move(torch.randn(4, 32, 14, 14))
    found = []
    for plan in (Plan(1, "contiguous"), HALF):  # the first leaves the layer alone
        layer.weight.grad = None
        with faster_layers(nn.Sequential(layer), plan), HALF.autocast():
            y = layer(x)
        y.float().square().sum().backward()
        found.append((y.detach(), layer.weight.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_mobilenets_strided_depthwise_layers_are_those_of_its_table() -> None:
    with torch.device("meta"):
        net = create_model("mobilenet_v1_100_224")
    with faster_layers(net, HALF):
        found = [name for name, layer in net.named_modules() if "forward" in vars(layer)]
    # Table 1: "Conv dw / s2" of 64, 128, 256 and 512 channels.
    assert found == [f"features.{row}_dw.conv" for row in ("conv3", "conv5", "conv7", "conv13")]


@pytest.mark.parametrize(
    ("plan", "changes"),
    [
        (HALF, {"stride": 1}),
        (HALF, {"groups": 4}),
        (HALF, {"out_channels": 16}),
        (HALF, {"bias": True}),
        (HALF, {"padding": 0}),
        (HALF, {"padding": "valid"}),
        (HALF, {"padding_mode": "circular"}),
        (HALF, {"dilation": 2}),
        (Plan(1, "channels_last", "fp32"), {}),
        (Plan(1, "channels_last", "bf16", device="cuda:0"), {}),
    ],
)
def test_other_layers_and_plans_are_left_alone(plan, changes) -> None:
    words = {"in_channels": 8, "out_channels": 8, "kernel_size": 3, "stride": 2, "padding": 1}
    layer = nn.Conv2d(**(words | {"groups": 8, "bias": False} | changes))
    with faster_layers(nn.Sequential(layer), plan):
        assert "forward" not in vars(layer)


@pytest.mark.parametrize(
    "layer", [Subsample(2), nn.Conv2d(8, 8, 3, 2, padding=1, groups=8, bias=False)]
)
def test_the_layer_is_put_back(layer) -> None:
    net = nn.Sequential(layer)
    with faster_layers(net, HALF):
        assert "forward" in vars(layer)
    assert "forward" not in vars(layer)
