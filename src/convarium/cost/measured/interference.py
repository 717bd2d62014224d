"""Was the machine ours alone while we measured? Signs of other work, and what they say together."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from convarium.errors import counted

SPREAD = 1.5  # of a fixed kernel's seconds, ninth decile over least
SWITCHES = 40.0  # involuntary context switches a second
STEAL = 0.03  # share of the processors' time that the host gave to other machines
STARVED = 0.85  # processor seconds per second of wall time, of one thread
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Signs:
    """What was seen while measuring; an empty tuple or None where the system does not tell.

    `reference` are seconds of one fixed kernel between rounds, `others` the programs that ran
    beside our threads at those moments, `steal` the host's share in [0, 1].
    """

    wall: float
    processor: float
    switches: int
    reference: tuple[float, ...] = ()
    others: tuple[int, ...] = ()
    steal: float | None = None


@dataclass(frozen=True, slots=True)
class Interference:
    """`disturbed` with a sentence a sign in `reasons`; `signs` are the figures behind them."""

    disturbed: bool
    reasons: tuple[str, ...]
    signs: Signs


def judge(signs: Signs) -> Interference:
    """The verdict on what was seen."""
    reasons = []
    if len(signs.reference) >= 2:
        least = min(signs.reference)
        most = statistics.quantiles(signs.reference, n=10, method="inclusive")[-1]
        if most > SPREAD * least:
            reasons.append(
                f"a fixed kernel took {1e3 * least:.2f} ms at best and {1e3 * most:.2f} ms in the "
                "slowest tenth"
            )
    rate = signs.switches / max(signs.wall, 1e-9)
    if rate > SWITCHES:
        reasons.append(f"the system took the processor from us {rate:.0f} times a second")
    if signs.others and statistics.median(signs.others) >= 1:
        count = round(statistics.median(signs.others))
        reasons.append(f"{counted(count, 'other thread')} ran beside us")
    if signs.steal is not None and signs.steal > STEAL:
        reasons.append(f"the host gave {100 * signs.steal:.0f} % of the processors to others")
    if signs.wall > 0 and signs.processor < STARVED * signs.wall:
        reasons.append(
            f"we had {signs.processor:.2f} processor seconds in {signs.wall:.2f} s of wall time"
        )
    return Interference(bool(reasons), tuple(reasons), signs)


class Watch:
    """Looks at the machine between rounds: `look` there, `verdict` at the end.

    Args:
        threads: ours; more running threads than these are others'.
        proc: where the system tells of itself.
    """

    def __init__(self, threads: int, proc: Path = _PROC) -> None:
        self._threads, self._proc = threads, proc
        self._reference: list[float] = []
        self._others: list[int] = []
        self._square = torch.rand(192, 192)
        self._ticks = _ticks(proc)
        self._begin = _usage()

    def look(self, done: int = 0) -> None:
        """Times the fixed kernel and counts who runs; about a millisecond."""
        running = _running(self._proc)
        if running is not None:
            self._others.append(max(0, running - self._threads))
        start = time.perf_counter()
        for _ in range(4):
            self._square @ self._square
        self._reference.append(time.perf_counter() - start)

    def verdict(self) -> Interference:
        """Over the time since this watch was made."""
        wall, processor, switches = (
            now - then for now, then in zip(_usage(), self._begin, strict=True)
        )
        reference = self._reference[1:]  # the first call makes the kernel ready
        signs = Signs(
            wall=float(wall),
            processor=float(processor),
            switches=int(switches),
            reference=tuple(reference),
            others=tuple(self._others),
            steal=_steal(self._ticks, _ticks(self._proc)),
        )
        return judge(signs)


def _usage() -> tuple[float, float, int]:
    """Wall and processor seconds, involuntary switches; 0 of these where the system has none."""
    try:
        import resource

        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    except ImportError:  # not on this system
        switches = 0
    times = os.times()
    return time.perf_counter(), times.user + times.system, switches


def _running(proc: Path) -> int | None:
    """Threads of the whole machine that run or want to, this one included."""
    try:
        return int((proc / "loadavg").read_text().split()[3].split("/")[0])
    except (OSError, ValueError, IndexError):
        return None


def _ticks(proc: Path) -> tuple[int, int] | None:
    """Stolen and all ticks of all processors since the system's start."""
    try:
        ticks = [int(word) for word in (proc / "stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    return (ticks[7], sum(ticks)) if len(ticks) == 8 else None


def _steal(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float | None:
    if before is None or after is None or after[1] <= before[1]:
        return None
    return (after[0] - before[0]) / (after[1] - before[1])
