"""Sums that torch adds up in place, unless it meets a dispatch mode: then it makes a new tensor.

A ledger is such a mode, so it finds these sums by who else holds the first operand.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


class Sums:
    """Tells which operand a sum is added to in place.

    Args:
        gradient: references to a gradient, and to its storage, that autograd's engine alone has.
        product: references of Python to a layer's product before its bias.
    """

    def __init__(self, gradient: tuple[int, int], product: int) -> None:
        self._gradient, self._product = gradient, product

    def in_place(self, name: str, args: tuple[Any, ...]) -> Tensor | None:
        """The first operand of a sum where torch itself adds to it in place, None elsewhere."""
        if name != "add":
            return None
        if torch._C._current_graph_task_id() != -1:
            return args[0] if self._is_sole(args[0]) else None
        # A view, for a result that is its operand would confuse autograd.
        return args[0].view(args[0].shape) if _may_be_bias(args) and self._is_new(args[0]) else None

    def _is_sole(self, value: Tensor) -> bool:
        """Whether the engine alone holds a gradient (`can_accumulate_inplace` in torch)."""
        sole = _holders(value) == self._gradient
        return sole and torch.ops.aten.is_non_overlapping_and_dense(value)

    def _is_new(self, value: Tensor) -> bool:
        """Whether no Python code has it, as between a layer's product and bias (Linear.cpp)."""
        return sys.getrefcount(value) == self._product


UNKNOWN = Sums((0, 0), 0)  # finds none


class _Watch(Sums):
    """Notes what it sees, and tells of none."""

    def __init__(self) -> None:
        super().__init__((0, 0), 0)
        self.gradients: list[tuple[int, int]] = []
        self.products: list[int] = []

    def _is_sole(self, value: Tensor) -> bool:
        self.gradients.append(_holders(value))
        return False

    def _is_new(self, value: Tensor) -> bool:
        self.products.append(sys.getrefcount(value))
        return False


def sums_under(mode: Callable[[Sums], Any], new: Callable[..., Tensor]) -> Sums:
    """What a mode sees of tensors that only torch's own code holds.

    Got from a graph where it is so, of two products of one tensor, each with its own gradient; and
    from a linear layer of maps that do not lie in their axes' order.

    Args:
        mode: a new one that asks these sums.
        new: a tensor of these sides, of those that the mode takes.
    """
    watch = _Watch()
    x, grad, maps = new(2), new(2), new(2, 2, 2)
    x.requires_grad_()
    with mode(watch), torch.enable_grad():
        torch.autograd.backward((x * 2) * (x * 3), grad, inputs=[x])
        linear(maps.transpose(0, 1), maps[0], grad)
    return Sums(watch.gradients[0], watch.products[0])


def _holders(value: Tensor) -> tuple[int, int]:
    """References to a tensor and to its storage."""
    storage = value.untyped_storage()
    return value._use_count(), torch._C._storage_Use_Count(storage._cdata)  # type: ignore


def _may_be_bias(args: tuple[Any, ...]) -> bool:
    """Whether a sum adds a value a column to rows of more than one axis, all of one type."""
    rows, bias = args[:2]
    if not isinstance(bias, Tensor) or bias.dim() != 1 or rows.dim() < 3:
        return False
    return rows.shape[-1:] == bias.shape and rows.dtype == bias.dtype and rows.is_contiguous()
