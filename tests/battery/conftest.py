"""The networks of the battery: one member a family, and all of them where slow tests are run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import convarium
from convarium import catalog
from convarium.nets.densenet import DenseNetCIFAR
from convarium.nets.fractalnet import FractalNetCIFAR
from convarium.nets.resnet_cifar import ResNetCIFAR
from convarium.nets.resnext import ResNeXtCIFAR
from convarium.nets.stochastic_depth import StochasticDepthCIFAR
from convarium.nets.wide_resnet import WideResNet
from quick_values import quick_values

ONE_EACH = """
    lenet5 alexnet_owt zfnet nin_cifar10 vgg_a_32px googlenet_32px resnet8 preact_resnet18
    wrn_10_1 resnext29_2x4d stochastic_depth_20 fractalnet10_c2 densenet_16_12
    squeezenet_32px mobilenet_v1_050_32px darknet19
    """.split()
# A paper's table at a depth or width that it does not print: its least one takes 10 seconds.
OFF_CATALOG: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "resnet8": (lambda: ResNetCIFAR(8), "resnet20_cifar"),
    "wrn_10_1": (lambda: WideResNet(10, 1), "wrn_16_4"),
    "fractalnet10_c2": (lambda: FractalNetCIFAR(2, 8), "fractalnet20_c3_cifar"),
    "stochastic_depth_20": (lambda: StochasticDepthCIFAR(20), "stochastic_depth_110"),
    "resnext29_2x4d": (lambda: ResNeXtCIFAR(2, 4), "resnext29_8x64d_cifar"),
    "densenet_16_12": (lambda: DenseNetCIFAR(16, 12), "densenet_40_12_cifar"),
}
NAMES = [
    name if name in ONE_EACH else pytest.param(name, marks=pytest.mark.slow)
    for name in (*catalog.CATALOG, *OFF_CATALOG)
]
# Networks of these families end in an average over any map: what is checked is the same at 64.
ANY_SIDE = set(
    "resnet preact_resnet wide_resnet resnext stochastic_depth densenet squeezenet "
    "mobilenet darknet".split()
)
SMALLER_PX = 64
BATCHES = (1, 2, 7)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
MANY_NORMS = 600


@dataclass
class Subject:
    """One network in eval mode, seven pictures, and what it says of them in float32."""

    name: str
    family: str
    make: Callable[[], nn.Module]
    model: nn.Module
    pictures: Tensor
    expected: Tensor

    def assert_near(self, found: Tensor, tolerance: float, count: int = 7) -> None:
        """Each value within `tolerance` of the largest; the largest is no rounding error."""
        expected = self.expected[:count]
        assert found.shape == expected.shape
        largest = expected.abs().max().item()
        assert largest > 1e-6
        assert (found.float() - expected).abs().max().item() <= tolerance * largest


@pytest.fixture(scope="session", params=NAMES)
def subject(request: pytest.FixtureRequest) -> Subject:
    """Fresh weights; norms that do something; pictures of the network's own size."""
    name = request.param
    make, listed = OFF_CATALOG.get(name, (lambda: convarium.create_model(name), name))
    family = catalog.find(listed).family
    torch.manual_seed(0)
    with quick_values():
        model = make().eval()
    norms = [module for module in model.modules() if isinstance(module, NORMS)]
    # Hundreds of blocks that each add a share multiply it beyond float32: a smaller share then.
    share = 1.0 if len(norms) < MANY_NORMS else 0.5
    for module in norms:
        nn.init.uniform_(module.weight, 0.5 * share, share)
        nn.init.normal_(module.bias, std=0.1)
        nn.init.uniform_(module.running_var, 0.5, 1.5)
    channels, *sides = convarium.model_facts(listed).input
    if family in ANY_SIDE:
        sides = [min(side, SMALLER_PX) for side in sides]
    pictures = torch.randn(7, channels, *sides)
    with torch.no_grad():
        expected = model(pictures)
    assert expected.isfinite().all()
    return Subject(name, family, make, model, pictures, expected)


@pytest.fixture(scope="session")
def program(subject: Subject) -> torch.export.ExportedProgram:
    """The network exported in eval mode for any batch: one export for all that is made of it."""
    batch = torch.export.Dim("batch", min=1, max=64)
    return torch.export.export(subject.model, (subject.pictures[:3],), dynamic_shapes=({0: batch},))


@pytest.fixture(scope="session")
def quick_exporter() -> Iterator[None]:
    """Parses the sources of the exporter's 500 functions once: they take a third of an export."""
    module = pytest.importorskip("torch.onnx._internal.exporter._registration")
    registry = getattr(module, "ONNXRegistry", None)
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(registry, "from_torchlib"):
            patch.setattr(registry, "from_torchlib", staticmethod(cache(registry.from_torchlib)))
        yield


def rates_at_zero(model: nn.Module) -> None:
    """Takes chance out of a network in train mode: nothing is dropped, every block survives."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if hasattr(module, "survival"):
            module.survival = 1.0
