"""Counting leaves nothing on the user's model: after success, and after the model's own error."""

from __future__ import annotations

import gc
import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

import convarium
from convarium.errors import InputError

torchvision = pytest.importorskip("torchvision")

# One or more of each family; those that would fill the machine's memory are built on meta.
# The default run takes some of each way; `make test-slow` all.
ON_CPU = """
    squeezenet1_0 squeezenet1_1 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large mnasnet0_5
    mnasnet0_75 mnasnet1_0 mnasnet1_3 shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5
    shufflenet_v2_x2_0 resnet18 efficientnet_b0 regnet_y_400mf regnet_x_400mf regnet_y_800mf
    regnet_x_800mf densenet121
    """.split()
ON_META = """
    alexnet vgg11 vgg11_bn vgg13 vgg16 vgg16_bn vgg19 resnet34 resnet50 resnet101 resnet152
    resnext50_32x4d resnext101_32x8d wide_resnet50_2 wide_resnet101_2 densenet161 densenet169
    densenet201 convnext_tiny efficientnet_b1 efficientnet_v2_s
    """.split()


BY_DEFAULT = """
    squeezenet1_1 mobilenet_v3_small shufflenet_v2_x0_5 resnet18 alexnet vgg11_bn resnet50
    convnext_tiny
    """.split()


def build(name: str) -> nn.Module:
    with torch.device("meta" if name in ON_META else "cpu"):
        model = torchvision.models.get_model(name)
    model.train()
    next(m for m in model.modules() if not list(m.children())).eval()  # modes that differ
    return model


def state(model: nn.Module) -> dict[str, object]:
    """Everything of a model that a count could leave its mark on."""
    named = [*model.named_parameters(), *model.named_buffers()]
    hooks = [key for key in vars(nn.Module()) if "hooks" in key]
    return {
        "tensors": [
            (key, id(t), t.data_ptr(), t._version, t.requires_grad, t.grad, t.device)
            for key, t in named
        ],
        "values": [sample(t) for _, t in named],
        "keys": list(model.state_dict()),
        "modes": [m.training for m in model.modules()],
        "hooks": [(key, list(getattr(m, key))) for m in model.modules() for key in hooks],
        "members": [sorted(vars(m)) for m in model.modules()],
        "forwards": [m.forward.__func__ for m in model.modules()],
        "ids": [id(m) for m in model.modules()],
        "random": (
            torch.random.get_rng_state().tolist(),
            random.getstate(),
            np.random.get_state()[1].tolist(),
        ),
        "global hooks": [
            (key, len(value))
            for key, value in vars(torch_module).items()
            if "_global_" in key and hasattr(value, "__len__")
        ],
        "modes of torch": (
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch._C._len_torch_dispatch_stack(),
        ),
    }


def sample(t: Tensor) -> list[float]:
    """A hundred values of a tensor; none of one on meta."""
    return [] if t.is_meta else t.detach().flatten()[:100].double().tolist()


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if name in BY_DEFAULT else pytest.mark.slow)
        for name in (*ON_CPU, *ON_META)
    ]
)
def model(request: pytest.FixtureRequest) -> nn.Module:
    return build(request.param)


def test_after_success_and_after_an_error(model) -> None:
    before = state(model)
    convarium.measure_cost(model, (3, 64, 64))
    assert state(model) == before
    convarium.predict_memory(model, (3, 64, 64), batch_size=2, precision="bf16")
    assert state(model) == before
    for count in (convarium.measure_cost, convarium.predict_memory):
        with pytest.raises(InputError):
            count(model, (5, 64, 64))  # the first convolution takes 3 channels
        assert state(model) == before


def test_after_an_error_half_way(model) -> None:
    """The middle leaf fails: half of the forward pass has run, in train mode, in all three ways."""
    leaves = [m for m in model.modules() if not list(m.children())]

    def fail(module: nn.Module, args: object) -> None:
        np.random.rand(), random.random(), torch.rand(1)
        raise RuntimeError("half-way")

    leaves[len(leaves) // 2].register_forward_pre_hook(fail)
    before = state(model)
    for count in (convarium.measure_cost, convarium.predict_memory):
        with pytest.raises(InputError, match="half-way"):
            count(model, (3, 64, 64), batch_size=2, training=True)
        assert state(model) == before


class LateError(nn.Module):
    """Writes into its batch norm, draws random numbers, and fails in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)
        self.drop = nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        self.drop(self.bn(x))
        raise ValueError("too late")


@pytest.mark.parametrize("count", [convarium.measure_cost, convarium.predict_memory])
def test_after_an_error_of_its_own(count) -> None:
    model = LateError().train()
    before = state(model)
    with pytest.raises(InputError, match="too late"):
        count(model, (3, 8, 8), training=True)
    assert state(model) == before
    assert torch.equal(model.bn.running_mean, torch.zeros(3))


@pytest.mark.parametrize("was", [True, False])
@pytest.mark.parametrize("way", ["meta", "fake", "fails"])
def test_pythons_collector_is_as_it_was(way, was) -> None:
    class Seen(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if way == "fails" or (way == "fake" and x.is_meta):
                raise ValueError("not here")
            return x

    gc.enable() if was else gc.disable()
    try:
        if way == "fails":
            with pytest.raises(InputError, match="not here"):
                convarium.measure_cost(Seen(), (3, 8, 8))
        else:
            assert convarium.measure_cost(Seen(), (3, 8, 8)).traced_on == way
        assert gc.isenabled() == was
    finally:
        gc.enable()
