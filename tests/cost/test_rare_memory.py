"""Predicted peaks of networks that turn, part and grow their maps, against the allocator's own.

On one thread: with more, oneDNN sums the gradients of weights in parts.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import convarium
from cost.test_memory import OPTIMIZERS, most_live, real_peak
from cost.test_unseen_memory import between

pytestmark = pytest.mark.usefixtures("one_thread")
torchvision = pytest.importorskip("torchvision")


class Does(nn.Module):
    """A function of the maps, between layers."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Deformed(nn.Module):
    """A convolution that computes where it looks."""

    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Conv2d(64, 18, 3, padding=1)
        self.conv = torchvision.ops.DeformConv2d(64, 64, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, self.where(x))


def mixes(x: Tensor) -> Tensor:
    """Attention of the pixels to each other, as in non-local networks."""
    pixels = x.flatten(2)
    pairs = torch.bmm(pixels.transpose(1, 2), pixels).softmax(-1)
    return torch.bmm(pixels, pairs.transpose(1, 2)).view_as(x)


def decoder() -> nn.Module:
    """Up by transposed convolutions to a picture, of which a mean is taken."""
    return nn.Sequential(
        *(nn.Conv2d(3, 48, 2, 2), nn.ReLU(), nn.ConvTranspose2d(48, 24, 4, 2, 1), nn.ReLU()),
        *(nn.ConvTranspose2d(24, 3, 2, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


IN_ANY_PRECISION = {
    "decoder": decoder,
    "transposed": lambda: between(nn.ConvTranspose2d(64, 64, 2, 2)),
    "transposed, steps of 1": lambda: between(nn.ConvTranspose2d(64, 64, 3)),
    "through 3 maps": lambda: between(nn.Conv2d(64, 3, 3), nn.Conv2d(3, 64, 3)),
    "through 6 maps": lambda: between(nn.Conv2d(64, 6, 3), nn.Conv2d(6, 64, 3)),
    "through 12 maps": lambda: between(nn.Conv2d(64, 12, 3), nn.Conv2d(12, 64, 3)),
    "a part of the maps": lambda: between(Does(lambda x: x[:, :48]), nn.Conv2d(48, 64, 3)),
    "turned maps": lambda: between(Does(lambda x: x.transpose(2, 3)), nn.Conv2d(64, 64, 3)),
    "non-local": lambda: between(Does(mixes)),
}
IN_ONE_PRECISION = {
    "decoder": decoder,
    "transposed": lambda: between(nn.ConvTranspose2d(64, 64, 2, 2)),
    "deformed": lambda: between(Deformed()),
    "frequencies": lambda: between(Does(lambda x: torch.fft.irfft2(torch.fft.rfft2(x)))),
    "float64": lambda: between(nn.Conv2d(64, 64, 3)).double(),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", IN_ANY_PRECISION)
def test_training(name, precision) -> None:
    model = IN_ANY_PRECISION[name]()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    real = real_peak(model, torch.rand(4, 3, 32, 32), optimizer, precision)
    report = convarium.predict_memory(model, (3, 32, 32), batch_size=4, precision=precision)
    assert report.peak_bytes == pytest.approx(real, rel=0.01)


@pytest.mark.parametrize("name", IN_ONE_PRECISION)
def test_inference(name) -> None:
    model = IN_ONE_PRECISION[name]().eval()
    x = torch.rand(4, 3, 32, 32).to(next(model.parameters()).dtype)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as prof, torch.no_grad():
        model(x)
    held = sum(t.nbytes for t in (*model.parameters(), *model.buffers(), x))
    report = convarium.predict_memory(model, (3, 32, 32), batch_size=4, training=False)
    assert report.peak_bytes == pytest.approx(held + most_live(prof)[0], rel=0.01)
