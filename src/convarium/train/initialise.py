"""Data-dependent initialisation for networks without batch norm, when epochs are few."""

from __future__ import annotations

from contextlib import ExitStack

from torch import Tensor, nn

from convarium.machine import answering

_LAYERS = (nn.Conv2d, nn.Linear)


def unit_variance(model: nn.Module, images: Tensor) -> None:
    """Draws the weights of every convolution and linear layer anew, each output of variance 1.

    One forward pass: each layer, when its turn comes, gets normal weights and zero biases and is
    scaled by the deviation of its own output, so that the next layer already sees the scaled one.
    Dropout is off meanwhile. Parameters of other layers, and buffers, stay.

    Args:
        model: changed in place; its training mode is put back.
        images: (N, C, H, W) float32 on the model's device, as it will be trained on.

    Source:
        Mishkin & Matas, "All you need is a good init", ICLR 2016 (arXiv 1511.06422): LSUV, with
        normal instead of orthonormal weights.
    """
    with answering(model), ExitStack() as hooks:
        for layer in model.modules():
            if isinstance(layer, _LAYERS):
                _redraw(layer)
                hooks.callback(layer.register_forward_hook(_Scale()).remove)
        model(images)


class _Scale:
    """Scales a layer by its first output's deviation."""

    def __init__(self) -> None:
        self.done = False

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if self.done or not isinstance(layer, _LAYERS):
            return output
        self.done = True
        deviation = output.float().std().clamp_min(1e-8)
        layer.weight.div_(deviation)
        return output / deviation


def _redraw(layer: nn.Conv2d | nn.Linear) -> None:
    nn.init.kaiming_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
