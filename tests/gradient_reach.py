"""The oracle of receptive fields: the reach of gradients through positive weights."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import convarium

SIDE = 48


class Seen(NamedTuple):
    """The first and last input pixel with a gradient, along rows and along columns."""

    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def side(self) -> int:
        return max(last - first + 1 for first, last in self)


def _mean_pool(x: Tensor, kernel: Any, **options: Any) -> Tensor:
    kept = {key: options[key] for key in ("stride", "padding", "ceil_mode") if key in options}
    return torch.nn.functional.avg_pool2d(x, kernel, **kept)


class Positive(TorchFunctionMode):
    """Lets every path through: no maximum, gate, saturation or statistic hides a gradient."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "max_pool2d":
            return _mean_pool(*args, **kwargs)
        if name in ("relu", "relu_", "hardtanh", "hardtanh_", "tanh", "sigmoid", "batch_norm"):
            return args[0]
        return func(*args, **kwargs)


class _ReachedError(Exception):
    pass


def output_of(model: nn.Module, path: str, picture: Tensor) -> Tensor:
    """What the module at `path` gives; the forward pass ends there."""
    found: list[Tensor] = []

    def catch(module: nn.Module, args: Any, output: Tensor) -> None:
        found.append(output)
        raise _ReachedError

    hook = model.get_submodule(path).register_forward_hook(catch)
    try:
        with Positive():
            model(picture)
    except _ReachedError:
        pass
    finally:
        hook.remove()
    return found[0]


def spread_evenly(model: nn.Module) -> nn.Module:
    """Weights 1 / fan-in: all positive, and the map stays of the size of the picture's values."""
    for p in model.parameters():
        nn.init.constant_(p, 1 / max(1, p[0].numel()) if p.dim() > 1 else 1.0)
    return model.double().eval()


def seen_by(
    maps: Tensor, picture: Tensor, channel: int, at: int, column: int | None = None
) -> Seen:
    """Which input pixels the output pixel (at, column), or (at, at), of one channel depends on."""
    pixel = maps[0, channel, at, at if column is None else column]
    (gradient,) = torch.autograd.grad(pixel, picture, retain_graph=True)
    touched = gradient[0].abs().sum(0) > 0
    spans = []
    for axis in (1, 0):
        places = touched.any(axis).nonzero().flatten().tolist()
        spans.append((places[0], places[-1]))
    return Seen(*spans)


class Behind(nn.Module):
    """Maps that see 1 and maps that see 5 pixels, then `rule`, then 3x3 a map.

    Args:
        rule: from (N, 8, H, W), the first `narrow` maps those that see 1, to `out` maps.
    """

    def __init__(
        self, rule: Callable[[Tensor], Tensor], *, out: int = 8, narrow: int = 4, stride: int = 1
    ) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(3, narrow, 1), nn.Conv2d(3, 8 - narrow, 5, padding=2)
        self.rule = rule
        self.last = nn.Conv2d(out, out, 3, stride=stride, padding=1, groups=out)

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = self.last(self.rule(torch.cat([self.narrow(x), self.wide(x)], 1)))
        return joined


def check(model: nn.Module, phases: int, stride: float) -> None:
    """Size, range, stride and offset are those of the gradient; pixels repeat after `phases`."""
    row = next(
        r
        for r in convarium.measure_cost(nn.Sequential(model), (3, SIDE, SIDE)).rows[::-1]
        if r.name
    )
    picture = torch.rand(1, 3, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
    maps = output_of(spread_evenly(nn.Sequential(model)), "0", picture)
    middle = maps.shape[-1] // 2 // phases * phases
    places = list(product(range(middle, middle + phases), repeat=2))
    of_maps: list[list[Seen]] = [
        [seen_by(maps, picture, channel, *place) for place in places]
        for channel in range(maps.shape[1])
    ]
    sides = [max(seen.side for seen in of_map) for of_map in of_maps]
    first, last = of_maps[int(np.argmax(sides))][0].rows
    assert 0 < first <= last < SIDE - 1, "the picture is too small to tell"
    assert (row.receptive_field, row.receptive_field_min) == (max(sides), min(sides))
    assert row.rf_stride == stride
    assert row.rf_offset + middle * stride == (first + last) / 2
