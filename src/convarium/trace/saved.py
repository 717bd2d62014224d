"""What autograd keeps for the backward pass, under the module whose call made it keep it."""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

Key = tuple[str, int]  # a row's name and the number of its call, as in `TraceRow`


class _Kept(NamedTuple):
    """A storage that a node of the graph keeps; `place` is its row or the node's number."""

    storage: weakref.ref[Any]
    nbytes: int
    place: Key | int


class SavedBytes:
    """Collects the storages that autograd saves while `watch` is open.

    A storage counts once, for the first that saves it; parameters, buffers and inputs do not count
    (`apart`). Rows are named as the rows of a trace.
    """

    def __init__(self, model: nn.Module, apart: Iterable[Tensor]) -> None:
        self._paths = {id(m): path for path, m in model.named_modules()}
        self.path = ""  # of the innermost module whose forward has not ended well
        # Of each module that runs its path, its row, and the error in whose handler it is called.
        self._stack: list[tuple[str, Key | None, BaseException | None]] = []
        self._calls: Counter[str] = Counter()
        self._nodes: dict[int, Key] = {}  # the bare operator that made the node of that number
        self._seen = {key: weakref.ref(s) for t in apart for key, s in [_storage(t)]}
        self._kept: list[_Kept] = []

    @contextmanager
    def watch(self, *, saving: bool = True) -> Iterator[None]:
        """Follows the modules that run, and with `saving` what autograd saves meanwhile.

        By global hooks and autograd's own: no module of the user's gets one.
        """
        enter = register_module_forward_pre_hook(self._enter)
        leave = register_module_forward_hook(self._leave, always_call=True)
        try:
            with saved_tensors_hooks(self._pack, _unpack) if saving else nullcontext():
                yield
        finally:
            enter.remove()
            leave.remove()

    def met(self, name: str, nature: str) -> None:
        """An operator is called: outside of any leaf it is a row of its own."""
        if nature != "view" and not self._row():
            path = self._stack[-1][0] if self._stack else ""
            key = self._new(f"{path}.{name}".lstrip("."))
            self._nodes[torch._C._autograd._get_sequence_nr()] = key

    def rows(self) -> dict[Key, int]:
        """Bytes a row, of the storages that still live."""
        found: dict[Key, int] = {}
        for storage, nbytes, place in self._kept:
            if storage() is not None:
                key = self._nodes.get(place, ("(other)", 0)) if isinstance(place, int) else place
                found[key] = found.get(key, 0) + nbytes
        return found

    def _pack(self, value: Tensor) -> Tensor:
        key, storage = _storage(value)
        known = self._seen.get(key)
        if known is None or known() is None:
            self._seen[key] = weakref.ref(storage)
            place = self._row() or torch._C._autograd._get_sequence_nr()
            self._kept.append(_Kept(self._seen[key], storage.nbytes(), place))
        # The tensor itself would hold the node that holds it.
        return value if value.grad_fn is None else value.detach()

    def _row(self) -> Key | None:
        """The row of the leaf that runs, None outside of any."""
        return self._stack[-1][1] if self._stack else None

    def _enter(self, module: nn.Module, args: Any) -> None:
        kind = type(module).__name__
        above = self._stack[-1][0] if self._stack else ""
        path = self._paths.get(id(module), f"{above}.{kind}".lstrip("."))
        row = self._row()
        if row is None and next(module.children(), None) is None:
            row = self._new(path or kind)
        self._stack.append((path, row, sys.exc_info()[1]))
        self.path = path

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        *_, handled = self._stack.pop()
        if sys.exc_info()[1] is handled:  # the hook also runs when the forward pass raised
            self.path = self._stack[-1][0] if self._stack else ""

    def _new(self, name: str) -> Key:
        self._calls[name] += 1
        return name, self._calls[name] - 1


def _storage(value: Tensor) -> tuple[int, Any]:
    storage = value.untyped_storage()
    return storage._cdata, storage


def _unpack(value: Tensor) -> Tensor:
    return value
