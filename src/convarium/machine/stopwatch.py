"""Times of several things, measured in turns so that a busy moment falls on all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call: median, quartiles and least over `n` repeats."""

    n: int
    median: float
    low: float  # first quartile
    high: float  # third quartile
    least: float


def interleaved(
    tasks: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    least: int = 3,
    most: int = 1000,
    warmup: int = 1,
) -> dict[str, Timing]:
    """Times each task in turns, round after round; the arguments are those of `laps_in_turns`."""
    laps = laps_in_turns(tasks, seconds=seconds, least=least, most=most, warmup=warmup)
    return {name: summarise(values) for name, values in laps.items()}


def laps_in_turns(
    tasks: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    least: int = 3,
    most: int = 1000,
    warmup: int = 1,
    between: Callable[[int], object] = lambda done: None,
) -> dict[str, list[float]]:
    """Seconds of every call, round by round: the laps at one place are of one round.

    Args:
        tasks: what to time, by name; each call does the same work.
        seconds: stop after the round in which this time has passed, warm-up not counted.
        least: rounds at least.
        most: rounds at most.
        warmup: untimed rounds before.
        between: called before each round with the rounds done so far.
    """
    for _ in range(warmup):
        for task in tasks.values():
            task()
    laps: dict[str, list[float]] = {name: [] for name in tasks}
    begin = time.perf_counter()
    for done in range(most):
        if done >= least and time.perf_counter() - begin >= seconds:
            break
        between(done)
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            laps[name].append(time.perf_counter() - start)
    return laps


def summarise(seconds: list[float]) -> Timing:
    """Median, quartiles (inclusive method) and least of measured seconds.

    >>> summarise([1.0, 2.0, 3.0, 4.0, 5.0])
    Timing(n=5, median=3.0, low=2.0, high=4.0, least=1.0)
    """
    if len(seconds) == 1:
        return Timing(1, *seconds * 4)
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Timing(len(seconds), median, low, high, min(seconds))
