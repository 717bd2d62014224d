"""A copy of a module to run in its stead, by default without memory; the user's is only read."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from convarium.errors import InputError, first_words
from convarium.trace.shells import shell_like


def twin_of(model: nn.Module, like: Callable[[Tensor], Tensor] = shell_like) -> nn.Module:
    """A deep copy of `model` with other tensors in place of its own, tied ones tied.

    Args:
        model: any module.
        like: makes the other tensor, with the shape, type and gradient flag of the first.

    Raises:
        InputError: an attribute cannot be copied.
    """
    memo: dict[int, Any] = {}
    try:
        for value in _tensors(model):
            if id(value) not in memo:
                memo[id(value)] = like(value)
                # torch asks this of an instance to tell a parameter from a buffer.
                memo[id(value)]._is_param = isinstance(value, nn.Parameter)
        for module in model.modules():  # copying its many empty dicts is most of the work
            memo.update((id(v), type(v)()) for v in vars(module).values() if _is_empty(v))
        return copy.deepcopy(model, memo)
    except Exception as error:
        cause, kind = first_words(error), type(model).__name__
        raise InputError(f"{kind} cannot be copied without its weights: {cause}") from error


def _is_empty(value: Any) -> bool:
    return type(value) in (dict, OrderedDict) and not value


def _tensors(model: nn.Module) -> Iterable[Tensor]:
    """Parameters, buffers, and tensors that modules hold as plain attributes."""
    for module in model.modules():
        for held in (module._parameters, module._buffers, vars(module)):
            yield from (v for v in held.values() if isinstance(v, Tensor))
