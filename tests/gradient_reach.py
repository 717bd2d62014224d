"""The oracle of receptive fields: the reach of gradients through positive weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


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
