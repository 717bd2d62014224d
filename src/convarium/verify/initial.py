"""How a network's weights start: mean and deviation of each layer's first values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import log, sqrt

import torch
from torch import Tensor, nn

from convarium.nets.build import NoFills
from convarium.verify.unit import Spread, Unit

_SIGMAS = 5.0  # of the sample's own scatter
_LEAST = 0.02  # relative: a smaller difference is not worth a line


@contextmanager
def without_values() -> Iterator[None]:
    """Modules that are built here live on the meta device and draw no values."""
    with NoFills(), torch.device("meta"):
        yield


def with_first_values(units: Sequence[Unit], model: nn.Module) -> tuple[Unit, ...]:
    """The units with the spreads of their layer's weight and bias in `model`, which has values."""
    modules = dict(model.named_modules())
    return tuple(
        replace(unit, start=_start(modules[unit.name])) if unit.name in modules else unit
        for unit in units
    )


def _start(module: nn.Module) -> dict[str, Spread]:
    tensors = {key: getattr(module, key, None) for key in ("weight", "bias")}
    return {
        key: spread(tensor)
        for key, tensor in tensors.items()
        if isinstance(tensor, Tensor) and not tensor.is_meta
    }


def spread(tensor: Tensor) -> Spread:
    """Mean and standard deviation of a tensor's values, in float64."""
    values = tensor.detach().double()
    return Spread(values.mean().item(), values.std(correction=0).item(), values.numel())


def start_alike(a: Spread, b: Spread) -> bool:
    """True when two samples may come from one distribution, by their means and deviations.

    A sample of n values has a relative scatter of 1 / sqrt(2n) in its deviation and of
    deviation / sqrt(n) in its mean. Differences within five of these, or of 2 %, are alike.
    """
    if min(a.std, b.std) == 0.0:
        return a.std == b.std and abs(a.mean - b.mean) <= 1e-6 * max(1.0, abs(a.mean))
    scatter = sqrt(1 / (2 * a.count) + 1 / (2 * b.count))
    if abs(log(a.std / b.std)) > max(_LEAST, _SIGMAS * scatter):
        return False
    wide = max(a.std, b.std)
    scatter = wide * sqrt(1 / a.count + 1 / b.count)
    return abs(a.mean - b.mean) <= max(_LEAST * wide, _SIGMAS * scatter)


def spread_words(x: Spread) -> str:
    """ "mean 0, std 0.0100"; a constant is one number."""
    if x.std == 0.0:
        return f"all {x.mean:.3g}"
    centre = 0.0 if abs(x.mean) < 0.2 * x.std else x.mean
    return f"mean {centre:.2g}, std {x.std:.3g}"
