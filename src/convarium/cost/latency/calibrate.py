"""Times primitive shapes in turns, within a given number of seconds."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from convarium.cost.latency.calls import Call
from convarium.cost.latency.chains import Chain, Chains
from convarium.cost.latency.shapes import drawn
from convarium.cost.latency.tasks import Task, task_of
from convarium.machine import Plan

SECONDS = 45.0  # the turn under way may take ten more: a minute at most
ROUNDS = 4  # the least of these counts; one round before them is not timed
DISTURBED = 1.6  # times the reference's usual seconds: another program had the machine
Sample = tuple[Call, float]


@dataclass(slots=True)
class Calibration:
    """What was timed, in seconds; `left_out` counts shapes that were timed while disturbed."""

    samples: list[Sample] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    left_out: int = 0
    seconds: float = 0.0


def calibrate(
    plan: Plan,
    *,
    seconds: float = SECONDS,
    turns: Iterator[list[Call]] | None = None,
    tell: Callable[[float, int], None] = lambda share, shapes: None,
    pause: Callable[[float], None] = lambda share: None,
) -> Calibration:
    """Seconds of primitive calls under `plan`, as many as the time allows.

    A fixed kernel is timed beside each turn. Turns in which it was far slower than usual are timed
    once more or left out: another program had the machine. Some chains of layers are timed whole.

    Args:
        plan: threads, layout and precision.
        seconds: stop after the turn in which this time has passed, pauses not counted.
        turns: what to time; drawn from `shapes` when None.
        tell: gets the share of the time that has passed, and the shapes timed so far.
        pause: called after each turn with that share: for other work in the same sitting.
    """
    found = _Turns(drawn() if turns is None else turns)
    chains = Chains(plan) if turns is None else None
    passed = 0.0
    while passed < seconds:
        begin = time.perf_counter()
        with plan.settings(), torch.inference_mode(), plan.autocast():
            if not found.take_one(plan):
                break
            if chains is not None:
                chains.at(passed / seconds)
        passed += time.perf_counter() - begin
        share = min(1.0, passed / seconds)
        tell(share, found.shapes)
        pause(share)
    done = found.calibration(passed)
    done.chains = [] if chains is None else chains.timed()
    return done


class _Turns:
    """The turns timed so far, each with what the fixed kernel took then."""

    def __init__(self, turns: Iterator[list[Call]]) -> None:
        self._turns = turns
        self._again: list[list[Call]] = []
        self._timed: list[tuple[float, list[Sample]]] = []
        self._reference = Reference()

    @property
    def shapes(self) -> int:
        return sum(len(samples) for _, samples in self._timed)

    def take_one(self, plan: Plan) -> bool:
        """Times the next turn; False when there is none."""
        second_time = bool(self._again) and len(self._timed) % 4 == 3
        turn = self._again.pop(0) if second_time else next(self._turns, None)
        if turn is None:
            return False
        before = self._reference.seconds()
        laps = _turn([task_of(call, plan) for call in turn])
        pace = max(before, self._reference.seconds())
        self._timed.append((pace, list(zip(turn, laps, strict=True))))
        if pace > self._limit() and not second_time:
            self._again.append(turn)
        return True

    def calibration(self, seconds: float) -> Calibration:
        """The samples of the turns that were not disturbed."""
        done = Calibration(seconds=seconds)
        for pace, samples in self._timed:
            if pace <= self._limit():
                done.samples += samples
            else:
                done.left_out += len(samples)
        return done

    def _limit(self) -> float:
        return DISTURBED * statistics.median(pace for pace, _ in self._timed)


class Reference:
    """A fixed kernel on all threads: slow when another program has a core."""

    def __init__(self) -> None:
        self._a = torch.rand(256, 256)

    def seconds(self, times: int = 5) -> float:
        """The median of some calls; about a millisecond each."""
        laps = []
        for _ in range(times):
            start = time.perf_counter()
            for _ in range(4):
                self._a @ self._a
            laps.append(time.perf_counter() - start)
        return sorted(laps)[times // 2]


def _turn(tasks: list[Task]) -> list[float]:
    """The least seconds of each task over the rounds."""
    for task in tasks:
        task.fresh()
        task.run()
    best = [float("inf")] * len(tasks)
    was_on = gc.isenabled()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for at, task in enumerate(tasks):
                best[at] = min(best[at], _timed(task))
    finally:
        if was_on:
            gc.enable()
    return best


def _timed(task: Task) -> float:
    task.fresh()
    start = time.perf_counter()
    task.run()
    return time.perf_counter() - start
