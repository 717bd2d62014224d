"""Backward counts where autograd is off for a while: frozen parts, functions, checkpoints."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import convarium

ONE = 8 * 8  # multiply-adds of a linear layer of 8 to 8; so has each of its two gradients


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return grad @ weight.T, x.T @ grad


class Net(nn.Module):
    """A layer, then a middle part, then a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)
        self.middle = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.weight = nn.Parameter(torch.randn(8, 8))

    def part(self, x: Tensor) -> Tensor:
        return self.middle(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.part(self.first(x)))


class Reentrant(Net):
    def part(self, x: Tensor) -> Tensor:
        return checkpoint(self.middle, x, use_reentrant=True)


class NotReentrant(Net):
    def part(self, x: Tensor) -> Tensor:
        return checkpoint(self.middle, x, use_reentrant=False)


class OwnFunction(Net):
    def part(self, x: Tensor) -> Tensor:
        return Product.apply(x, self.weight).relu()


class Frozen(Net):
    def part(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.middle(x)


class FrozenBegin(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.first(x)
        return self.last(self.middle(x))


# The picture needs no gradient: the first layer has its weight's alone, the others two.
@pytest.mark.parametrize(
    ("kind", "forward", "backward"),
    [
        (Net, 4, 1 + 3 * 2),
        (Reentrant, 4, 1 + 3 * 2),
        (NotReentrant, 4, 1 + 3 * 2),
        (OwnFunction, 3, 1 + 2 * 2),
        (FrozenBegin, 4, 1 + 2 * 2),
    ],
)
def test_backward(kind, forward, backward) -> None:
    report = convarium.measure_cost(kind(), (8,), training=True)
    assert (report.macs, report.status) == (forward * ONE, "exact")
    assert report.macs_backward == backward * ONE


def test_a_frozen_part_has_no_backward_pass() -> None:
    report = convarium.measure_cost(Frozen(), (8,), training=True)
    found = {row.name: row.macs_backward for row in report.rows}
    assert (found["middle.0"], found["middle.2"]) == (0, 0)
    assert found["last"] == ONE  # its weight's alone: nothing asks for that of its input
