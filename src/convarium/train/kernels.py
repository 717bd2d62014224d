"""Layers that a training step computes in another way than they are written, with equal numbers.

The networks stay as they are: traced, counted, exported and tested as their papers have them.

Option A's sub-sampling: the backward pass of a slice is laid out contiguously, whatever the
network's layout; what then adds it to another gradient, and the ReLU behind, mix two layouts and
take ten times as long. An average pool over single pixels gives the same numbers both ways and
keeps the layout.

Depthwise convolutions with a stride: for the gradient of their input in bfloat16, oneDNN takes each
channel for a group of its own in a kernel made for many channels, 10 to 100 times slower than
its depthwise ones. With zeros between the pixels of the output's gradient the same sums are a
depthwise convolution of stride 1, for which it has a fast kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from convarium.blocks.shortcut import Subsample
from convarium.machine import Plan

Forward = Callable[[Tensor], Tensor]


@contextmanager
def faster_layers(model: nn.Module, plan: Plan) -> Iterator[None]:
    """Within, layers of `model` compute as said above, where the plan makes that faster."""
    pools = plan.layout == "channels_last"
    spreads = plan.precision == "bf16" and plan.kind == "cpu"
    found: list[nn.Module] = []
    try:
        # Asked first: the walk over the modules would be of every step.
        for layer in model.modules() if pools or spreads else ():
            forward: Forward | None = None
            if pools and isinstance(layer, Subsample):
                forward = partial(F.avg_pool2d, kernel_size=1, stride=layer.stride)
            elif spreads and isinstance(layer, nn.Conv2d) and _is_strided_depthwise(layer):
                forward = partial(_depthwise, layer)
            if forward is not None:
                layer.__dict__["forward"] = forward
                found.append(layer)
        yield
    finally:
        for layer in found:
            del layer.__dict__["forward"]


def _is_strided_depthwise(layer: nn.Conv2d) -> bool:
    """With an odd window in the middle, as `_Depthwise` takes it."""
    return (
        layer.groups == layer.in_channels == layer.out_channels > 1
        and max(layer.stride) > 1
        and layer.bias is None
        and layer.padding_mode == "zeros"
        and layer.dilation == (1, 1)
        and all(side % 2 for side in layer.kernel_size)
        and layer.padding == tuple(side // 2 for side in layer.kernel_size)
    )


def _depthwise(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """What the layer gives under autocast: bfloat16."""
    half = torch.bfloat16
    out: Tensor = _Depthwise.apply(x.to(half), layer.weight.to(half), layer.stride, layer.padding)
    return out


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of x (N, C, H, W) with w (C, 1, k, k); see the top of this file."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, stride: Any, padding: Any) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, w, None, stride, padding, 1, len(w))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        spread = torch.zeros_like(x)
        spread[:, :, :: ctx.stride[0], :: ctx.stride[1]] = gradient
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = F.conv2d(spread, w.flip(2, 3), None, 1, ctx.padding, 1, len(w))
        stride = ctx.stride
        if min(x.shape[2:]) < max(w.shape[2:]):
            # Of maps smaller than the window oneDNN reads beyond the end at a stride, not without.
            gradient, stride = spread, (1, 1)
        shape = stride, ctx.padding, (1, 1), False, (0, 0), len(w)
        of_w = torch.ops.aten.convolution_backward(
            gradient, x, w, None, *shape, (False, True, False)
        )[1]
        return of_x, of_w, None, None
