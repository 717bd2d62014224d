"""What a forward pass may write on a user's modules, put back when it has run."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, compress, filterfalse
from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_DICTS = frozenset((dict, OrderedDict, defaultdict))
_HOLDERS = _DICTS | {list, deque, set}
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
    paths = dict(model.named_modules())
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
    loose = [t for t in _distinct(own) if id(t) not in registered]
    return Members(paths, parameters, buffers, list(found.values()), loose)


@contextmanager
def left_alone(has: Members) -> Iterator[None]:
    """Puts back every attribute of a model's modules, and the lists, dicts and sets they hold.

    Modes, hooks, buffers set anew, caches and counters are such. Parameters keep their
    `requires_grad`. Values of tensors are not looked after here, only their count of writes: see
    `StandIns`.
    """
    own = [vars(module) for module in has.modules.values()]
    # Twenty attributes a module, most of them empty dicts of hooks: loops in C.
    everything = list(chain.from_iterable(map(dict.values, own)))
    held = compress(everything, map(_HOLDERS.__contains__, map(type, everything)))
    holders: list[Any] = [*own, *held, *has.holders]
    kept = [(h, dict(h) if type(h) in _DICTS else list(h)) for h in filter(None, holders)]
    empty = list(filterfalse(None, holders))
    modes = [(m, m.training) for m in has.modules.values()]
    flags = [(p, p.requires_grad) for p in has.parameters]
    tensors = (*has.parameters, *has.buffers, *has.loose)
    versions = [(t, t._version) for t in tensors if not t.is_inference()]
    try:
        yield
    finally:
        for holder in filter(None, empty):
            holder.clear()
        for holder, values in kept:
            if not _same(holder, values):
                _put_back(holder, values)
        for module, mode in modes:
            if module.training != mode:  # a scripted one: its mode is no attribute
                module.training = mode
        for parameter, flag in flags:
            if parameter.requires_grad != flag:
                parameter.requires_grad_(flag)
        for tensor, version in versions:
            if tensor._version != version:
                torch._C._autograd._unsafe_set_version_counter((tensor,), (version,))


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
