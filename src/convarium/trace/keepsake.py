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
    attributes: _Attributes
    holders: list[Any]
    loose: list[Tensor]


class _Attributes:
    """The modules' attributes: names and values in one long list each, which C compares."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self.of_modules = list(map(vars, modules))
        self._sizes = list(map(len, self.of_modules))
        self._names = list(chain.from_iterable(self.of_modules))
        self.values = list(chain.from_iterable(map(dict.values, self.of_modules)))

    def of_their_own(self) -> list[Any]:
        """Values of those attributes that not every module has."""
        special = set(self._names) - _OF_EVERY_MODULE
        return list(compress(self.values, map(special.__contains__, self._names)))

    def put_back(self) -> None:
        """Gives each module those that it had, of which most it has still."""
        values = chain.from_iterable(map(dict.values, self.of_modules))
        same = map(is_, values, self.values)
        named = list(chain.from_iterable(self.of_modules)) == self._names
        if named and list(map(len, self.of_modules)) == self._sizes and all(same):
            return
        pairs = zip(self._names, self.values, strict=True)
        for attributes, size in zip(self.of_modules, self._sizes, strict=True):
            had = dict(islice(pairs, size))
            if not _same(attributes, had):
                _put_back(attributes, had)


def members(model: nn.Module) -> Members:
    """Everything of a model in one walk."""
    paths = dict(model.named_modules())
    modules = paths.values()
    parameters = _distinct(chain.from_iterable(m._parameters.values() for m in modules))
    buffers = _distinct(chain.from_iterable(m._buffers.values() for m in modules))
    attributes = _Attributes(modules)
    own = attributes.of_their_own()
    found: dict[int, Any] = {}
    todo = _holders(own)
    while todo:
        holder = todo.pop()
        if id(holder) not in found:
            found[id(holder)] = holder
            within = list(holder.values() if type(holder) in _DICTS else holder)
            own += within
            todo += _holders(within)
    registered = {id(t) for t in (*parameters, *buffers)}
    kinds = [kind for kind in set(map(type, own)) if issubclass(kind, Tensor)]
    found_so = [v for v in own if type(v) in kinds] if kinds else []
    loose = [t for t in _distinct(found_so) if id(t) not in registered]
    return Members(paths, parameters, buffers, attributes, list(found.values()), loose)


@contextmanager
def left_alone(has: Members) -> Iterator[None]:
    """Puts back every attribute of a model's modules, and the lists, dicts and sets they hold.

    Modes, hooks, buffers set anew, caches and counters are such. Parameters keep their
    `requires_grad`. Values of tensors are not looked after here, only their count of writes: see
    `StandIns`.
    """
    attributes = has.attributes
    contents = _Contents([*_holders(attributes.values), *has.holders])
    scripted = [m for m in has.modules.values() if "training" not in vars(m)]
    modes = [(m, m.training) for m in scripted]
    flags = list(map(_FLAG, has.parameters))
    tensors = [t for t in (*has.parameters, *has.buffers, *has.loose) if not t.is_inference()]
    versions = list(map(_VERSION, tensors))
    try:
        yield
    finally:
        attributes.put_back()
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


def _holders(values: list[Any]) -> list[Any]:
    return list(compress(values, map(_HOLDERS.__contains__, map(type, values))))


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
