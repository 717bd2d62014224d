"""Networks timed round by round: latency, pictures a second, memory, energy, ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import numpy as np

from convarium.cost.measured.contestants import Contestant, check_room
from convarium.cost.measured.interference import Interference, Watch
from convarium.cost.measured.operators import (
    OperatorTimes,
    by_operator,
    time_operators,
)
from convarium.errors import InputError, UsageError, counted
from convarium.machine import (
    Counter,
    PeakMemory,
    Plan,
    answering,
    give_back,
    joules_per_pass,
    laps_in_turns,
)

LEAST_ROUNDS = 5
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure: every batch on every number of threads; `seconds` a network and setting."""

    plans: tuple[Plan, ...]
    batches: tuple[int, ...] = (1,)
    seconds: float = 2.0
    per_op: bool = False

    def __post_init__(self) -> None:
        if not self.batches or min(self.batches) < 1:
            raise UsageError("a batch must be at least 1.")
        if not 0 < self.seconds <= 3600:
            raise UsageError(f"--seconds must be above 0 and at most 3600, not {self.seconds:g}.")


@dataclass(frozen=True, slots=True)
class Point:
    """One network at one batch on so many threads, over `n` rounds.

    Milliseconds are of a whole batch; `ms_spread` are its quartiles. What could not be had is None
    and has its reason in `unavailable`, by field name.
    """

    name: str
    batch: int
    threads: int
    n: int
    ms_p50: float
    ms_p90: float
    ms_p99: float
    ms_spread: tuple[float, float]
    images_per_second: float
    peak_bytes: int | None
    joules_per_image: float | None
    unavailable: dict[str, str] = field(default_factory=dict)
    operators: OperatorTimes | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """Time of `name` over that of `base`: median and quartiles of the rounds' ratios."""

    name: str
    base: str
    batch: int
    threads: int
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All points in the order measured, the ratios, and whether the machine was disturbed."""

    points: tuple[Point, ...]
    ratios: tuple[Ratio, ...]
    interference: Interference
    layout: str
    precision: str
    device: str = "cpu"

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as `bench --json` prints them; operators joined by name too."""
        found = asdict(self)
        for told, point in zip(found["points"], self.points, strict=True):
            if point.operators is None:
                del told["operators"]
                continue
            told["operators"]["share"] = point.operators.share
            told["operators"]["by_operator"] = [
                {"name": name, "calls": calls, "ms": ms}
                for name, calls, ms in by_operator(point.operators)
            ]
        return found


def bench(
    entrants: Sequence[Contestant],
    settings: Settings,
    *,
    counter: Counter | None = None,
    tell: Tell = lambda text: None,
) -> BenchReport:
    """Measures every network at every batch and number of threads, in turns.

    Args:
        entrants: the networks, each with the one that it is held against.
        settings: see `Settings`; all plans have one layout, precision and device.
        counter: of energy; the device's own when None.
        tell: gets a line of progress for each setting.

    Raises:
        ExhaustedError: a batch that does not fit into memory.
        InputError: a forward pass that fails.
    """
    device = settings.plans[0].device
    counter = counter or Counter(device=device)
    points: list[Point] = []
    ratios: list[Ratio] = []
    watch = Watch(max(plan.threads for plan in settings.plans))
    for one in entrants:
        check_room(one, max(settings.batches), device=device)
    for plan, batch in product(settings.plans, settings.batches):
        many = f"{len(entrants)} networks" if len(entrants) > 1 else entrants[0].name
        threads = counted(plan.threads, "thread")
        tell(f"{many}, batch {batch}, {threads}: {settings.seconds * len(entrants):g} s")
        with plan.settings(), answering(*(one.model for one in entrants)):
            peaks = {one.name: PeakMemory(device=device) for one in entrants}
            runs = {one.name: _ready(one, plan, batch, peaks[one.name]) for one in entrants}
            seconds = settings.seconds * len(runs)
            laps = laps_in_turns(
                runs, seconds=seconds, least=LEAST_ROUNDS, most=100_000, between=watch.look
            )
            beside = {name: _beside(run, batch, counter, peaks[name]) for name, run in runs.items()}
            for one in entrants if settings.per_op else ():
                operators = time_operators(one.model, runs[one.name], device=device)
                beside[one.name]["operators"] = operators
        names = [one.name for one in entrants]
        points += [point_of(n, batch, plan.threads, laps[n], beside[n]) for n in names]
        ratios += ratios_of(entrants, laps, batch, plan.threads)
    layout, precision = settings.plans[0].layout, settings.plans[0].precision
    return BenchReport(tuple(points), tuple(ratios), watch.verdict(), layout, precision, device)


def _ready(one: Contestant, plan: Plan, batch: int, peak: PeakMemory) -> Callable[[], object]:
    """The forward pass, run once: what fails, fails here, and `peak` sees its memory.

    One picture goes before, so that the code which a first pass loads is not counted. Later passes
    use again what this one gave back, which the kernel's mark does not see.
    """
    run = one.forward(plan, batch)
    with suppress(InputError):  # of a network that does not take one alone
        one.forward(plan, 1)()
    give_back()
    with peak:
        run()
    return run


def _beside(
    run: Callable[[], object], batch: int, counter: Counter, peak: PeakMemory
) -> dict[str, Any]:
    """Energy and memory of a pass: fields of a point beside its times."""
    unavailable: dict[str, str] = {}
    joules, reason = joules_per_pass(run, counter)
    if joules is None:
        unavailable["joules_per_image"] = reason
    else:
        joules /= batch
    if peak.bytes is None:
        unavailable["peak_bytes"] = f"not available: {peak.reason}"
    return {
        "joules_per_image": joules,
        "peak_bytes": peak.bytes,
        "unavailable": unavailable,
    }


def point_of(
    name: str, batch: int, threads: int, laps: Sequence[float], measured: dict[str, Any]
) -> Point:
    """A network's laps in seconds as percentiles (between neighbours, linearly).

    >>> laps = [0.001 * n for n in range(1, 102)]
    >>> one = point_of("net", 2, 1, laps, {"peak_bytes": 0, "joules_per_image": None})
    >>> round(one.ms_p50), round(one.ms_p90), round(one.ms_p99), round(one.images_per_second)
    (51, 91, 100, 39)
    """
    low, p50, high, p90, p99 = (float(v) for v in np.quantile(laps, (0.25, 0.5, 0.75, 0.9, 0.99)))
    return Point(
        name=name,
        batch=batch,
        threads=threads,
        n=len(laps),
        ms_p50=1e3 * p50,
        ms_p90=1e3 * p90,
        ms_p99=1e3 * p99,
        ms_spread=(1e3 * low, 1e3 * high),
        images_per_second=batch / p50,
        **measured,
    )


def ratios_of(
    entrants: Sequence[Contestant], laps: dict[str, list[float]], batch: int, threads: int
) -> list[Ratio]:
    """Each network over its base, round by round: what slows a round slows both."""
    found = []
    for one in entrants:
        if one.name == one.base:
            continue
        each = [own / other for own, other in zip(laps[one.name], laps[one.base], strict=True)]
        low, median, high = statistics.quantiles(each, n=4, method="inclusive")
        found.append(Ratio(one.name, one.base, batch, threads, median, low, high))
    return found


def plans_of(
    threads: Sequence[int], layout: str, precision: str, device: str = "cpu"
) -> tuple[Plan, ...]:
    """A plan for each number of threads.

    Raises:
        UsageError: a number, layout or precision that does not exist.
    """
    counts = dict.fromkeys(threads)
    return tuple(Plan(n, layout, precision, "the user", device) for n in counts)
