"""Arguments of operators: tensors alone, in lists, or among other values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from convarium.trace.rows import TensorSpec
from convarium.trace.sparse import SPARSE, sparse_spec


def replace(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """`value` with `change` applied to every tensor in it; lists and tuples are walked."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        for v in value:
            if isinstance(v, (Tensor, list)):
                return type(value)([replace(v, change) for v in value])
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


def specs_in(value: Any) -> list[TensorSpec]:
    """The specs among the arguments of an `Op`, in order."""
    if isinstance(value, TensorSpec):
        return [value]
    if isinstance(value, (list, tuple)):
        found = []
        for v in value:
            if isinstance(v, (TensorSpec, list, tuple)):
                found += specs_in(v)
        return found
    return []
