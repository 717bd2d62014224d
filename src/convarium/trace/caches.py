"""Tensors of a run that a user's code keeps for later outside of its model: they are let go.

Grids and position codes are often kept by functools.lru_cache, or in a dict of a module or a class,
by their size and device. One that has no memory, or no values, would meet the next real pass.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import _lru_cache_wrapper
from itertools import compress
from types import ModuleType
from typing import Any

from torch import Tensor

Ours = Callable[[Any], bool]
_HOLDING = frozenset((_lru_cache_wrapper, ModuleType, type))
_DEEPEST = 3  # containers within one another
_LONGEST = 10_000  # values: no cache of grids has as many
_PLAIN = frozenset((int, float, complex, bool, str, bytes, type(None), type))
_WALKS: dict[type, Callable[[Any], Iterable[Any]]] = {  # past what subclasses make of them
    tuple: tuple.__iter__,
    list: list.__iter__,
    dict: dict.values,
}


class Leftovers:
    """Tensors that were made in a run that can serve no other: they are to end with it."""

    def __init__(self) -> None:
        self._watched: list[weakref.ref[Tensor]] = []

    def watch(self, tensors: Iterable[Tensor]) -> None:
        """Looks at these too when the run is over."""
        self._watched += map(weakref.ref, tensors)

    def let_go(self) -> None:
        """The run is over: caches forget those that live still."""
        alive = [tensor for ref in self._watched if (tensor := ref()) is not None]
        self._watched = []
        if alive:
            ours = set(map(id, alive))
            let_go(lambda value: id(value) in ours)


def let_go(ours: Ours) -> None:
    """Empties the caches of all that is loaded of the tensors for which `ours` holds.

    A memoised function forgets all that it knows, a dict the entries that hold such a tensor; a
    name of a module or a class that stands for one stands for None, as before the first call. It
    looks at every object there is, which takes a part of a second.
    """
    seen: set[int] = set()
    for holder in _holders():
        kind = type(holder)
        if kind is _lru_cache_wrapper:
            if any(_has(value, ours, seen, _DEEPEST) for value in gc.get_referents(holder)):
                holder.cache_clear()
        elif kind is ModuleType or kind is type:
            _let_go_of_names(holder, ours, seen)


def _holders() -> Iterator[Any]:
    """Every such function, module and class that the collector tracks, each once."""
    tracked = gc.get_objects()
    yield from compress(tracked, map(_HOLDING.__contains__, map(type, tracked)))
    if gc.get_freeze_count() == 0:
        return
    frozen: dict[int, Any] = {}  # they are not among those above
    for module in list(sys.modules.values()):
        names = list(vars(module).values())
        kinds = [value for value in names if type(value) is type]
        within = [value for kind in kinds for value in list(vars(kind).values())]
        frozen.update((id(value), value) for value in (module, *names, *within))
    yield from frozen.values()


def _let_go_of_names(holder: Any, ours: Ours, seen: set[int]) -> None:
    for name, value in list(vars(holder).items()):
        if not issubclass(type(value), dict):
            if ours(value):
                setattr(holder, name, None)
        elif id(value) not in seen and dict.__len__(value) <= _LONGEST:
            seen.add(id(value))
            entries = list(dict.items(value))  # its own items() may load what it lists
            for key in [k for k, kept in entries if _has(kept, ours, seen, _DEEPEST)]:
                del value[key]


def _has(value: Any, ours: Ours, seen: set[int], deep: int) -> bool:
    """Whether a value is such a tensor, or holds one; `seen` are containers that do not."""
    kind = type(value)
    if kind in _PLAIN:
        return False
    base = next((base for base in _WALKS if issubclass(kind, base)), None)
    if base is None:
        return ours(value)
    if deep == 0 or id(value) in seen or len(value) > _LONGEST:
        return False
    seen.add(id(value))
    found = any(_has(part, ours, seen, deep - 1) for part in _WALKS[base](value))
    if found:
        seen.discard(id(value))  # another may hold it too
    return found
