"""Batch norm over all processes' samples, on every device; torch's own needs GPUs."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SyncedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Mean and variance of the whole batch, of all ranks; else as torch's.

    `idle` is set where this rank's samples do not count, since it has none of its own.
    """

    idle = False

    def _check_input_dim(self, x: Tensor) -> None:
        return

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape."""
        if not self.training:
            return super().forward(x)
        dims = [d for d in range(x.dim()) if d != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        weight = 0.0 if self.idle else 1.0
        count = values.new_tensor([weight * x.numel() / x.shape[1]])
        sums = _sum(torch.cat([weight * values.sum(dims), count]))
        number = sums[-1].detach()
        mean = sums[:-1] / number
        centred = values - mean.view(shape)
        variance = _sum(weight * centred.square().sum(dims)) / number
        self._remember(mean.detach(), variance.detach() * (number / (number - 1)))
        y = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Summed(torch.autograd.Function):
    """The sum over the ranks; each rank's gradient is the sum of all ranks', for all use it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum(x: Tensor) -> Tensor:
    return _Summed.apply(x)


def synchronise(model: nn.Module) -> None:
    """Lets the batch-norm layers of `model` see the batches of all ranks, in place."""
    for layer in model.modules():
        if type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d):
            layer.__class__ = SyncedBatchNorm


def set_idle(model: nn.Module, idle: bool) -> None:
    """Says whether this rank's samples count in the next forward passes."""
    for layer in model.modules():
        if isinstance(layer, SyncedBatchNorm):
            layer.idle = idle
