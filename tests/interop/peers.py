"""Other libraries' networks with random weights and statistics, and ours beside them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# ours, library, their name, side in pixels
PEERS = (
    ("vgg_a", "torchvision", "vgg11", 224),
    ("vgg_b", "torchvision", "vgg13", 224),
    ("vgg_d", "torchvision", "vgg16", 224),
    ("vgg_e", "torchvision", "vgg19", 224),
    ("resnet18_b", "torchvision", "resnet18", 64),
    ("resnet34_b", "torchvision", "resnet34", 64),
    ("resnet50_v1_5", "torchvision", "resnet50", 64),
    ("resnet101_v1_5", "torchvision", "resnet101", 64),
    ("resnet152_v1_5", "torchvision", "resnet152", 64),
    ("resnext50_32x4d", "torchvision", "resnext50_32x4d", 64),
    ("resnext101_64x4d", "torchvision", "resnext101_64x4d", 64),
    ("wrn_50_2_bottleneck", "torchvision", "wide_resnet50_2", 64),
    ("wrn_101_2_bottleneck", "torchvision", "wide_resnet101_2", 64),
    ("densenet121", "torchvision", "densenet121", 64),
    ("densenet161", "torchvision", "densenet161", 64),
    ("densenet169", "torchvision", "densenet169", 64),
    ("densenet201", "torchvision", "densenet201", 64),
    ("squeezenet1_0", "torchvision", "squeezenet1_0", 64),
    ("squeezenet1_1", "torchvision", "squeezenet1_1", 64),
    ("vgg_a", "timm", "vgg11", 224),
    ("vgg_d", "timm", "vgg16", 224),
    ("resnet18_b", "timm", "resnet18", 64),
    ("resnet34_b", "timm", "resnet34", 64),
    ("resnet50_v1_5", "timm", "resnet50", 64),
    ("resnext101_32x4d", "timm", "resnext101_32x4d", 64),
    ("wrn_50_2_bottleneck", "timm", "wide_resnet50_2", 64),
    ("densenet121", "timm", "densenet121", 64),
    ("mobilenet_v1_100_224", "timm", "mobilenetv1_100", 64),
    ("darknet53", "timm", "darknet53", 64),
)
# One member a family and library; the others take minutes and are run by `make test-slow`.
FAST = (
    "torchvision:resnet50 torchvision:densenet121 torchvision:squeezenet1_0 "
    "timm:resnet18 timm:mobilenetv1_100"
).split()


def peer(library: str, name: str) -> nn.Module:
    """Their network in eval mode, as they initialise it, with random batch norms."""
    if library == "timm":
        import pytest

        model = pytest.importorskip("timm").create_model(name)
    else:
        import torchvision

        model = torchvision.models.get_model(name, weights=None)
    randomise(model)
    for module in model.modules():
        # The two departures that the report names: ReLU6, and leaky ReLU's slope.
        if isinstance(module, nn.LeakyReLU):
            module.negative_slope = 0.1
        for child, part in list(module.named_children()):
            if isinstance(part, nn.ReLU6):
                setattr(module, child, nn.ReLU())
    return model.eval()


def randomise(model: nn.Module) -> None:
    """Random scales, shifts, means and variances; small random biases."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
            module.num_batches_tracked.fill_(7)
        elif getattr(module, "bias", None) is not None:
            noise = torch.randn(module.bias.shape, generator=generator)
            module.bias.data.copy_(0.1 * noise)


def pictures(side: int, channels: int = 3, n: int = 2) -> Tensor:
    """Random pictures, the same every time, in double precision."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n, channels, side, side, generator=generator, dtype=torch.float64)


def relative(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference as a share of the largest number."""
    return float(((ours - theirs).abs().max() / theirs.abs().max()).detach())


def same_state(a: nn.Module, b: nn.Module) -> bool:
    """True when every tensor of both is equal bit for bit."""
    one, other = a.state_dict(), b.state_dict()
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)
