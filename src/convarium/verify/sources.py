"""Which module's output each module takes: branches that run in turns are told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

Call = tuple[str, int]  # path of a module and number of the call, from 0


@contextmanager
def sources_noted(model: nn.Module) -> Iterator[dict[Call, Call]]:
    """While the model runs, fills a dictionary: a leaf's call -> the call that made its input.

    Calls whose input no leaf made, such as a sum, are not in it; nor those whose input was written
    to after its leaf had made it.
    """
    notes = _Notes()
    handles = [model.register_forward_pre_hook(notes.start)]
    for path, module in model.named_modules():
        if next(module.children(), None) is None:
            handles.append(module.register_forward_hook(notes.of(path)))
    try:
        yield notes.sources
    finally:
        for handle in handles:
            handle.remove()


class _Notes:
    def __init__(self) -> None:
        self.sources: dict[Call, Call] = {}
        self._makers: dict[tuple[int, int], Call] = {}  # by tensor and version
        self._calls: Counter[str] = Counter()
        self._keep: list[Tensor] = []  # an id means one tensor while it lives

    def start(self, module: nn.Module, args: Any) -> None:
        self.sources.clear()
        self._makers.clear()
        self._calls.clear()
        self._keep.clear()

    def of(self, path: str) -> Any:
        def saw(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            call = (path, self._calls[path])
            self._calls[path] += 1
            maker = self._makers.get(_written(args[0])) if args else None
            if maker is not None:
                self.sources[call] = maker
            if isinstance(output, Tensor):
                self._makers[_written(output)] = call
                self._keep.append(output)

        return saw


def _written(value: Any) -> tuple[int, int]:
    """A tensor as it is now: another number follows each write in place."""
    return id(value), value._version if isinstance(value, Tensor) else 0
