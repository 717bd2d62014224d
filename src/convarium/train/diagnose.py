"""Why a loss is no number: the batch, and what each layer gives on it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convarium.machine import Plan


@dataclass(frozen=True, slots=True)
class LayerOutput:
    """What one layer gave on a batch; mean and deviation are over its finite numbers."""

    layer: str
    finite: float  # share in [0, 1]
    mean: float
    deviation: float
    largest: float  # magnitude


def layer_outputs(model: nn.Module, images: Tensor, plan: Plan) -> list[LayerOutput]:
    """The output of each leaf of `model` on `images`, in the order of their calls.

    Args:
        model: in train mode, as when the loss was lost; its running values move.
        images: (N, C, H, W) float32, moved by the plan.
        plan: precision of the forward pass.
    """
    found: list[LayerOutput] = []

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            found.append(_summary(name, output.detach().float()))

    with ExitStack() as hooks, torch.no_grad(), plan.autocast():
        for name, layer in model.named_modules():
            if not list(layer.children()):
                hook = layer.register_forward_hook(
                    lambda _layer, _inputs, output, name=name: note(name, output)
                )
                hooks.callback(hook.remove)
        model(images)
    return found


def where_lost(outputs: list[LayerOutput], names: list[str]) -> str:
    """One sentence: which batch, and the first layer whose output is not finite.

    >>> where_lost([LayerOutput("conv1", 0.5, 0.0, 1.0, 9.0)], ["digit 3", "digit 7"])
    'Its batch: digit 3, digit 7; the first layer with an output that is not finite is conv1. '
    """
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    bad = next((row.layer for row in outputs if row.finite < 1), None)
    largest = max(outputs, key=lambda row: row.largest, default=None)
    layers = f"the first layer with an output that is not finite is {bad}"
    if bad is None and largest is not None:
        layers = (
            "with the weights of the last checkpoint every layer's output is finite, the largest "
            f"{largest.largest:.3g} in {largest.layer}"
        )
    return f"Its batch: {', '.join(names[:4])}{more}; {layers}. "


def _summary(name: str, output: Tensor) -> LayerOutput:
    finite = output[output.isfinite()]
    share = finite.numel() / max(1, output.numel())
    if not finite.numel():
        return LayerOutput(name, share, 0.0, 0.0, 0.0)
    mean, largest = float(finite.mean()), float(finite.abs().max())
    return LayerOutput(name, share, mean, float(finite.std(correction=0)), largest)
