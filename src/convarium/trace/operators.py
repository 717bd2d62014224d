"""What torch declares of an operator: its name, its nature, where it may take tensors."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch

from convarium.trace.shapes import REPEATABLE


class Operator(NamedTuple):
    """`name` and `nature` are those of an `Op`; `writes` says that it changes an argument.

    `places` are those of its arguments that may hold tensors; `repeats` is how many there are where
    what it gives is known from tensors laid out alike, else 0. Nothing is noted of an operator that
    is `aside`.
    """

    name: str
    nature: str
    writes: bool
    places: tuple[int, ...]
    repeats: int
    aside: bool


@cache
def operator(func: Any) -> Operator:
    """What is noted of an operator, from its overload."""
    name, nature = _name(func), _nature(func)
    kinds = [str(argument.type) for argument in func._schema.arguments]
    places = tuple(at for at, kind in enumerate(kinds) if "Tensor" in kind or "Any" in kind)
    takes_memory = nature == "view" and not places
    aside = takes_memory or func.namespace in ("prim", "profiler")  # asks a device, names a span
    single = all(kinds[at] in ("Tensor", "Optional[Tensor]") for at in places)
    leads = single and places == tuple(range(len(places)))
    repeats = len(places) if leads and name in REPEATABLE else 0
    return Operator(name, nature, func._schema.is_mutable, places, repeats, aside)


def _name(func: Any) -> str:
    name: str = func.overloadpacket.__name__.rstrip("_")
    return name if func.namespace in ("aten", "prims") else f"{func.namespace}::{name}"


def _nature(func: Any) -> str:
    returns = func._schema.returns
    aliases = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
    if aliases or torch.Tag.inplace_view in func.tags:
        return "view"
    for tag, nature in ((torch.Tag.pointwise, "pointwise"), (torch.Tag.reduction, "reduction")):
        if tag in func.tags:
            return nature
    return "view" if _name(func) in _FREE else "other"


# These move no data either, though their schema does not say so.
_FREE = frozenset("_unsafe_view unsafe_split unsafe_split_with_sizes empty empty_strided".split())
