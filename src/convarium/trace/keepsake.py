"""What a forward pass may write on a user's modules, put back when it has run."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, compress, filterfalse, islice
from operator import attrgetter, is_
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_DICTS = frozenset((dict, OrderedDict, defaultdict))
_HOLDERS = _DICTS | {list, deque, set}
_FLAG, _VERSION = attrgetter("requires_grad"), attrgetter("_version")
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


class Members(NamedTuple):
    """A model's modules by path and its tensors, each once, in its own order.

    `holders` are the lists, dicts and sets that modules have as attributes of their own, and those
    within them; `loose` the tensors held so.
    """

    modules: dict[str, nn.Module]
    parameters: list[Tensor]
    buffers: list[Tensor]
    holders: list[Any]
    loose: list[Tensor]


def members(model: nn.Module) -> Members:
    """Everything of a model in one walk."""
    paths = _named(model)
    modules = paths.values()
    parameters = _distinct(v for m in modules for v in m._parameters.values())
    buffers = _distinct(v for m in modules for v in m._buffers.values())
    own = [v for m in modules for key, v in vars(m).items() if key not in _OF_EVERY_MODULE]
    found: dict[int, Any] = {}
    todo = [v for v in own if type(v) in _HOLDERS]
    while todo:
        holder = todo.pop()
        if id(holder) not in found:
            found[id(holder)] = holder
            within = list(holder.values() if type(holder) in _DICTS else holder)
            own += within
            todo += [v for v in within if type(v) in _HOLDERS]
    registered = {id(t) for t in (*parameters, *buffers)}
    kinds = [kind for kind in set(map(type, own)) if issubclass(kind, Tensor)]
    found_so = [v for v in own if type(v) in kinds] if kinds else []
    loose = [t for t in _distinct(found_so) if id(t) not in registered]
    return Members(paths, parameters, buffers, list(found.values()), loose)


@contextmanager
def left_alone(has: Members) -> Iterator[None]:
    """Puts back every attribute of a model's modules, and the lists, dicts and sets they hold.

    Modes, hooks, buffers set anew, caches and counters are such. Parameters keep their
    `requires_grad`. Values of tensors are not looked after here, only their count of writes: see
    `StandIns`.
    """
    modules = has.modules.values()
    own = list(map(vars, modules))
    # Twenty attributes a module, most of them empty dicts of hooks: loops in C.
    everything = list(chain.from_iterable(map(dict.values, own)))
    held = compress(everything, map(_HOLDERS.__contains__, map(type, everything)))
    contents = _Contents([*own, *held, *has.holders])
    modes = [(m, m.training) for m in modules if "training" not in vars(m)]  # scripted ones
    flags = list(map(_FLAG, has.parameters))
    tensors = [t for t in (*has.parameters, *has.buffers, *has.loose) if not t.is_inference()]
    versions = list(map(_VERSION, tensors))
    try:
        yield
    finally:
        contents.put_back()
        for module, mode in modes:
            module.training = mode
        for parameter, flag in _changed(has.parameters, flags, _FLAG):
            parameter.requires_grad_(flag)
        for tensor, version in _changed(tensors, versions, _VERSION):
            torch._C._autograd._unsafe_set_version_counter((tensor,), (version,))


class _Contents:
    """What lists, dicts and sets hold now: all of it in one long list, which C compares."""

    def __init__(self, holders: list[Any]) -> None:
        self._empty, self._full = list(filterfalse(None, holders)), list(filter(None, holders))
        dicts = [holder.values() for holder in self._full if type(holder) in _DICTS]
        self._live = [*self._full, *dicts]  # of dicts the keys, and then their values
        self._sizes = list(map(len, self._live))
        self._values = list(chain.from_iterable(self._live))

    def put_back(self) -> None:
        """Gives each what it held, of which most hold it still."""
        for holder in filter(None, self._empty):
            holder.clear()
        same = map(is_, chain.from_iterable(self._live), self._values)
        if list(map(len, self._live)) == self._sizes and all(same):
            return
        values = iter(self._values)
        parts = [list(islice(values, size)) for size in self._sizes]
        of_dicts = iter(parts[len(self._full) :])
        for holder, part in zip(self._full, parts, strict=False):
            is_dict = type(holder) in _DICTS
            held = dict(zip(part, next(of_dicts), strict=True)) if is_dict else part
            if not _same(holder, held):
                _put_back(holder, held)


def _changed(
    tensors: list[Tensor], before: list[Any], read: Callable[[Tensor], Any]
) -> list[tuple[Tensor, Any]]:
    """Those of which `read` gives another value than before, each with the one before."""
    now = list(map(read, tensors))
    all_three = zip(tensors, before, now, strict=True)
    return [(t, old) for t, old, new in all_three if old != new] if now != before else []


def _named(model: nn.Module) -> dict[str, nn.Module]:
    """As `named_modules`, which hands each on through a generator for every level above it."""
    found: dict[int, tuple[str, nn.Module]] = {}
    todo = [("", model)]
    while todo:
        path, module = todo.pop()
        if id(module) in found:
            continue
        found[id(module)] = path, module
        below = f"{path}." if path else ""
        parts = [(below + name, m) for name, m in module._modules.items() if m is not None]
        todo += reversed(parts)
    return dict(found.values())


def _distinct(values: Iterable[Any]) -> list[Tensor]:
    return list({id(v): v for v in values if isinstance(v, Tensor)}.values())


def _same(holder: Any, values: Any) -> bool:
    if len(holder) != len(values):
        return False
    if isinstance(values, dict):
        return all(map(is_, holder.values(), values.values())) and all(map(is_, holder, values))
    return all(map(is_, holder, values))


def _put_back(holder: Any, values: Any) -> None:
    holder.clear()
    if isinstance(holder, (list, deque)):
        holder.extend(values)
    else:
        holder.update(values)
