"""Seconds of every operator of a forward pass: a dispatch mode with a clock.

On a GPU the clock is the GPU's own: events in its queue before and behind each operator's kernels.
Where it waits for the processor, which happens in small networks, that waiting is the operator's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from convarium.blocks.modes import PlainMode
from convarium.errors import InputError

T = TypeVar("T")
SECONDS = 2.0
LEAST_PASSES, MOST_PASSES = 5, 100


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """`mark` notes a moment, `between` gives the seconds from one such mark to another."""

    mark: Callable[[], Any] = time.perf_counter
    between: Callable[[Any, Any], float] = lambda begin, end: end - begin


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """One operator call: the layer that made it, its name, its milliseconds."""

    layer: str
    name: str
    ms: float


@dataclass(frozen=True, slots=True)
class OperatorTimes:
    """All operators of a pass. `ms_wall` is the pass's own time without the clock inside.

    `ms_between` is Python between the operators: what was seen between them, at most what they
    leave of the wall time. `ms_clock` is what the clock costs a pass, passes with it less passes
    without; what it costs inside an operator's reading is taken off each. All times are means over
    the middle half of the passes: unlike medians they add up, and unlike a mean over all they
    forget a disturbed pass. `share` is the operators' sum and Python's over the wall time; beyond 1
    is what of the clock could not be taken off.
    """

    rows: tuple[OperatorTime, ...]
    ms_sum: float
    ms_wall: float
    ms_between: float = 0.0
    ms_clock: float = 0.0

    @property
    def share(self) -> float:
        """Operators and the Python between them, over the wall time."""
        return (self.ms_sum + self.ms_between) / self.ms_wall


def time_operators(
    model: nn.Module,
    run: Callable[[], object],
    *,
    device: str = "cpu",
    passes: int | None = None,
    watch: Stopwatch | None = None,
    reading: float | None = None,
) -> OperatorTimes:
    """Milliseconds of every operator that `run` calls; plain passes are timed in turns.

    Args:
        model: whose layers the operators are told by.
        run: its forward pass, which calls the same operators every time and returns when done.
        device: on which it runs.
        passes: timed, after one that is not; when None as many as fit into two seconds, 5 to 100.
        watch: the device's own when None.
        reading: seconds of the clock itself inside one reading of an operator; measured when None.

    Raises:
        InputError: the passes call different operators.
    """
    watch = watch or _watch_of(device)
    reading = reading_cost(watch, device=device) if reading is None else reading
    run()
    plain: list[float] = []
    whole: list[float] = []
    laps: list[list[float]] = []
    seen: list[tuple[str, str]] = []
    begin = time.perf_counter()
    while len(plain) < (passes or LEAST_PASSES) or (
        passes is None and len(plain) < MOST_PASSES and time.perf_counter() - begin < SECONDS
    ):
        plain.append(_lap(run, watch))
        with _layers(model) as stack, _Clocked(watch, stack) as clocked:
            whole.append(_lap(run, watch))
        if laps and clocked.seen != seen:
            raise InputError(
                "the network calls other operators in one pass than in the next: their times do "
                "not go together. Leave --per-op out."
            )
        seen = clocked.seen
        laps.append(clocked.laps())
    return _averaged(seen, laps, plain, whole, reading)


def _averaged(
    seen: Sequence[tuple[str, str]],
    laps: Sequence[list[float]],
    plain: Sequence[float],
    whole: Sequence[float],
    reading: float,
) -> OperatorTimes:
    """Of passes in seconds: operator by operator, plain, and whole with the clock inside."""
    calm: list[float] = _middle(plain, float)
    calm_clocked: list[float] = _middle(whole, float)
    wall, clocked_wall = statistics.fmean(calm), statistics.fmean(calm_clocked)
    means = [statistics.fmean(values) for values in zip(*_middle(laps, sum), strict=True)]
    own = [max(0.0, lap - reading) for lap in means]
    gaps = max(0.0, clocked_wall - sum(means))  # with the clock, which the wall time is without
    between = min(gaps, max(0.0, wall - sum(own)))
    rows = tuple(
        OperatorTime(layer, name, 1e3 * lap) for (layer, name), lap in zip(seen, own, strict=True)
    )
    return OperatorTimes(
        rows, 1e3 * sum(own), 1e3 * wall, 1e3 * between, 1e3 * (clocked_wall - wall)
    )


def _watch_of(device: str) -> Stopwatch:
    if device == "cpu":
        return Stopwatch()

    def mark() -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(device))
        return event

    def between(begin: torch.cuda.Event, end: torch.cuda.Event) -> float:
        end.synchronize()
        return begin.elapsed_time(end) / 1e3

    return Stopwatch(mark, between)


def _lap(run: Callable[[], object], watch: Stopwatch) -> float:
    start = watch.mark()
    run()
    return watch.between(start, watch.mark())


def reading_cost(watch: Stopwatch, calls: int = 300, *, device: str = "cpu") -> float:
    """Seconds that the clock adds inside its reading of one small operator, a median.

    Args:
        watch: whose cost it is.
        calls: of the operator.
        device: on which the operator runs.
    """
    x = torch.zeros(1, device=device)

    def run() -> None:
        for _ in range(calls):
            torch.relu(x)

    run()
    bare = _lap(run, watch) / calls
    with _Clocked(watch, []) as clocked:
        run()
    return max(0.0, statistics.median(clocked.laps()) - bare)


def _middle(passes: Sequence[T], seconds: Callable[[T], float]) -> list[T]:
    """The passes between the quartiles of their seconds: at least one, half of many.

    >>> _middle([5.0, 1.0, 9.0, 3.0, 2.0], float)
    [2.0, 3.0, 5.0]
    """
    edge = len(passes) // 4
    return sorted(passes, key=seconds)[edge : len(passes) - edge]


@contextmanager
def _layers(model: nn.Module) -> Iterator[list[str]]:
    """The paths of the modules that run, the innermost last. Global hooks: none stays behind."""
    paths = {id(module): path for path, module in model.named_modules()}
    stack: list[str] = []

    def enter(module: nn.Module, inputs: Any) -> None:
        stack.append(paths.get(id(module), type(module).__name__))

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        stack.pop()

    hooks = (
        register_module_forward_pre_hook(enter),
        register_module_forward_hook(leave, always_call=True),
    )
    try:
        yield stack
    finally:
        for hook in hooks:
            hook.remove()


def by_operator(times: OperatorTimes) -> list[tuple[str, int, float]]:
    """(operator, calls, milliseconds), the dearest first.

    >>> rows = (OperatorTime("a", "relu", 1.0), OperatorTime("b", "relu", 2.0))
    >>> by_operator(OperatorTimes(rows, 3.0, 3.0))
    [('relu', 2, 3.0)]
    """
    sums: dict[str, tuple[int, float]] = {}
    for row in times.rows:
        calls, ms = sums.get(row.name, (0, 0.0))
        sums[row.name] = calls + 1, ms + row.ms
    found = [(name, calls, ms) for name, (calls, ms) in sums.items()]
    return sorted(found, key=lambda entry: -entry[2])


class _Clocked(PlainMode):
    """Notes the layer, the name and the seconds of every operator below autograd."""

    def __init__(self, watch: Stopwatch, stack: list[str]) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []
        self._marks: list[tuple[Any, Any]] = []
        self._watch = watch
        self._stack = stack

    def laps(self) -> list[float]:
        """Seconds of each operator, in the order of `seen`."""
        return [self._watch.between(begin, end) for begin, end in self._marks]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        begin = self._watch.mark()
        out = func(*args, **(kwargs or {}))
        marks = begin, self._watch.mark()
        name = func.overloadpacket.__name__.rstrip("_")
        own = func.namespace in ("aten", "prims", "prim")
        layer = self._stack[-1] if self._stack else ""
        self.seen.append((layer, name if own else f"{func.namespace}::{name}"))
        self._marks.append(marks)
        return out
