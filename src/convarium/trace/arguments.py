"""Arguments of operators: tensors alone, in lists, or among other values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from convarium.trace.rows import TensorSpec
from convarium.trace.sparse import SPARSE, sparse_spec

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def given(at: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors among an operator's arguments, in order, those by name last.

    Args:
        at: the `places` of the `Operator`.
        args: its arguments.
        kwargs: those by name.
    """
    found: list[Tensor] = []
    for place in at:
        if place >= len(args):
            break
        value = args[place]
        if isinstance(value, Tensor):
            found.append(value)
        elif value is not None:
            found += tensors(value)
    return found + tensors(kwargs) if kwargs else found


def filled(
    at: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any], values: Iterable[Any]
) -> Arguments:
    """The arguments with `values`, one for each tensor that `given` finds, in their places."""
    one_by_one, new = iter(values), list(args)

    def change(_: Tensor) -> Any:
        return next(one_by_one)

    for place in at:
        if place >= len(new):
            break
        if new[place] is not None:
            new[place] = replace(new[place], change)
    return tuple(new), replace(kwargs, change)


def replace(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """`value` with `change` applied to every tensor in it, in the order of `tensors`."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        for v in value:  # most are numbers, for which a call would be too much
            if isinstance(v, (Tensor, list, tuple, dict)):
                return type(value)([replace(v, change) for v in value])
    elif isinstance(value, dict):
        return {key: replace(v, change) for key, v in value.items()}
    return value


def tensors(value: Any) -> list[Tensor]:
    """The tensors in a value, a list, a tuple or a dict of them, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    found = []
    for v in value:  # most are numbers, for which a call would be too much
        if isinstance(v, Tensor):
            found.append(v)
        elif isinstance(v, (list, tuple, dict)):
            found += tensors(v)
    return found


def tensors_in(outputs: Any) -> list[Tensor]:
    """The tensors in what a module gives: as `tensors`, or the fields of a dataclass."""
    if isinstance(outputs, Tensor):
        return [outputs]
    if is_dataclass(outputs) and not isinstance(outputs, (type, dict)):
        return tensors([getattr(outputs, field.name) for field in fields(outputs)])
    return tensors(outputs)


def spec(tensor: Tensor) -> TensorSpec:
    """Shape, element size and gradient flag of a tensor.

    Raises:
        RuntimeError: it is nested, and so has no one shape; or sparse, without values.
    """
    if tensor.is_nested:
        raise RuntimeError("a nested tensor has no one shape to count by; pad it instead")
    grad = tensor.requires_grad and torch.is_grad_enabled()
    if tensor.layout in SPARSE:
        return sparse_spec(tensor, grad=grad)
    return TensorSpec(tuple(tensor.shape), tensor.element_size(), grad)


def nbytes(tensor: Tensor) -> int:
    """Bytes of a tensor when it is stored, as its `spec` tells them."""
    return spec(tensor).nbytes if tensor.layout in SPARSE else tensor.nbytes
