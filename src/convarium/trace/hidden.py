"""Which tensors get a gradient, also in code that runs with autograd off inside a function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from convarium.trace.arguments import spec
from convarium.trace.rows import TensorSpec


class _Made(NamedTuple):
    """What made a tensor with autograd off, and the flags it would have had with autograd on."""

    specs: list[TensorSpec]
    needs: list[bool]
    sources: list[Tensor]


class Gradients:
    """Tells the gradient flags of operators' arguments.

    Under no_grad nothing gets a gradient. But a torch.autograd.Function, and with it re-entrant
    checkpointing, runs its forward pass with autograd off too, and what it gives has a node in the
    graph all the same: its operators then count as those of a plain forward pass.
    """

    def __init__(self, wanted: bool) -> None:
        """`wanted`: the trace looks at gradients at all."""
        self._wanted = wanted
        self._made: dict[int, _Made] = {}

    def hidden(self) -> bool:
        """Whether flags may yet change, of what runs or ran with autograd off in a function."""
        return bool(self._made) or not torch.is_grad_enabled()

    def specs(self, used: list[Tensor]) -> list[TensorSpec]:
        """The specs of what an operator is called with."""
        if self._made and torch.is_grad_enabled():
            self.settle(used)
        return [spec(t) for t in used]

    def made(self, specs: list[TensorSpec], used: list[Tensor], outputs: list[Tensor]) -> None:
        """An operator gave `outputs`; the caller keeps all of its tensors alive.

        Args:
            specs: as `specs` gave them of `used`; `settle` sets their flags.
            used: what it was called with.
            outputs: what it gave.
        """
        if not self._wanted or torch.is_grad_enabled():
            return
        needs = [self._needs(t) for t in used]
        if any(needs):
            made = _Made(specs, needs, used)
            self._made.update((id(t), made) for t in outputs)

    def settle(self, values: Iterable[Tensor]) -> None:
        """Autograd knows these tensors: a function's outputs settle what made them."""
        todo = [t for t in values if isinstance(t.grad_fn, BackwardCFunction)]
        while todo:
            made = self._made.pop(id(todo.pop()), None)
            if made is not None:
                for spec_, needs in zip(made.specs, made.needs, strict=True):
                    spec_.grad = needs
                todo += made.sources

    def _needs(self, value: Tensor) -> bool:
        return value.requires_grad or id(value) in self._made
