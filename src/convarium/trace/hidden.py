"""Which tensors get a gradient, also in code that runs with autograd off inside a function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from convarium.trace.arguments import replace, spec, tensors
from convarium.trace.rows import Op, TensorSpec

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class _Made(NamedTuple):
    """What made a tensor with autograd off, and the specs it would have had with autograd on."""

    op: Op
    specs: Arguments
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

    def specs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """The arguments with specs in place of tensors."""
        if self._made and torch.is_grad_enabled():
            self.settle([*tensors(args), *tensors(kwargs)])
        return _specs(args, kwargs, spec)

    def made(
        self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: list[Tensor]
    ) -> None:
        """An operator gave `outputs`; the caller keeps all of its tensors alive."""
        if not self._wanted or torch.is_grad_enabled():
            return
        used = [*tensors(args), *tensors(kwargs)]
        if any(map(self._needs, used)):
            made = _Made(op, _specs(args, kwargs, self._hidden), used)
            self._made.update((id(t), made) for t in outputs)

    def settle(self, values: Iterable[Tensor]) -> None:
        """Autograd knows these tensors: a function's outputs settle what made them."""
        todo = [t for t in values if isinstance(t.grad_fn, BackwardCFunction)]
        while todo:
            made = self._made.pop(id(todo.pop()), None)
            if made is not None:
                made.op.args, made.op.kwargs = made.specs
                todo += made.sources

    def _needs(self, value: Tensor) -> bool:
        return value.requires_grad or id(value) in self._made

    def _hidden(self, value: Tensor) -> TensorSpec:
        plain = spec(value)
        return TensorSpec(plain.shape, plain.itemsize, self._needs(value))


def _specs(args: tuple[Any, ...], kwargs: dict[str, Any], of: Any) -> Arguments:
    return replace(args, of), {key: replace(value, of) for key, value in kwargs.items()}
