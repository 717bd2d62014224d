"""Tensors of a run that a user's code keeps for later outside of its model: they are let go.

Grids and position codes are often kept by functools.lru_cache, or in a dict of a module or a class,
by their size and device. One that has no memory, or no values, would meet the next real pass.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import _lru_cache_wrapper
from types import ModuleType
from typing import Any

Ours = Callable[[Any], bool]
_DEEPEST = 3  # containers within one another


def let_go(ours: Ours) -> None:
    """Empties the caches of all that is loaded of the tensors for which `ours` holds.

    A memoised function forgets all that it knows, a dict the entries that hold such a tensor; a
    name of a module or a class that stands for one stands for None, as before the first call. It
    looks at every object there is, which takes tens of milliseconds.
    """
    for holder in _holders():
        kind = type(holder)
        if kind is _lru_cache_wrapper:
            if any(_has(value, ours, _DEEPEST) for value in gc.get_referents(holder)):
                holder.cache_clear()
        elif kind is ModuleType or kind is type:
            _let_go_of_names(holder, ours)


def _holders() -> Iterator[Any]:
    yield from gc.get_objects()
    if gc.get_freeze_count() == 0:
        return
    for module in list(sys.modules.values()):  # frozen objects are not among those above
        yield module
        names = list(vars(module).values())
        yield from names
        for kind in filter(lambda value: type(value) is type, names):
            yield from list(vars(kind).values())


def _let_go_of_names(holder: Any, ours: Ours) -> None:
    for name, value in list(vars(holder).items()):
        if issubclass(type(value), dict):
            entries = list(dict.items(value))  # its own items() may load what it lists
            for key in [key for key, kept in entries if _has(kept, ours, _DEEPEST)]:
                del value[key]
        elif ours(value):
            setattr(holder, name, None)


def _has(value: Any, ours: Ours, deep: int) -> bool:
    walk = next((walk for kind, walk in _WALKS.items() if issubclass(type(value), kind)), None)
    if walk is None:
        return ours(value)
    return deep > 0 and any(_has(part, ours, deep - 1) for part in walk(value))


# Past what subclasses make of them.
_WALKS: dict[type, Callable[[Any], Iterable[Any]]] = {
    tuple: tuple.__iter__,
    list: list.__iter__,
    dict: dict.values,
}
