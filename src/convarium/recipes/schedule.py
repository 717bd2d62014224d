"""How the learning rate moves over a run: each schedule is a few words, and a pure function.

The words are what recipes, TOML files, `--set` and records hold; `read` turns them into one of the
classes here. A schedule gives a factor on the recipe's rate from how much of the run is done, so a
run shortened by `--epochs` keeps its shape. Only a plateau looks at anything else: the validation
errors of the epochs so far, which a checkpoint keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from convarium.errors import UsageError

UNITS = ("epochs", "iterations")
FORMS = """
    constant
    linear to 0
    poly POWER
    step FACTOR at N,N,... epochs|iterations
    step FACTOR every N epochs|iterations
    plateau FACTOR patience EPOCHS times N
    halving FACTOR times N
    rates RATE RATE ... at N,N,... epochs|iterations
"""
LONGEST = 500  # letters; what strangers write is read too


@dataclass(frozen=True, slots=True)
class Length:
    """How long a run is by its recipe, in epochs and in iterations."""

    epochs: float
    iterations: float

    def share(self, count: float, unit: str) -> float:
        """What part of the run `count` epochs or iterations are."""
        return count / (self.epochs if unit == "epochs" else self.iterations)


class Schedule(Protocol):
    """A factor on the recipe's learning rate."""

    def factor(self, progress: float, length: Length, errors: Sequence[float]) -> float:
        """The factor when `progress` (0 to 1) of a run of `length` is done.

        `errors` are the validation errors (shares) of the finished epochs, oldest first.
        """


@dataclass(frozen=True, slots=True)
class Poly:
    """(1 - progress) to a power; 0 is a constant rate, 1 a line to 0."""

    power: float

    def factor(self, progress: float, length: Length, errors: Sequence[float]) -> float:
        """1 at the start, 0 at the end unless the power is 0."""
        return max(0.0, 1 - progress) ** self.power


@dataclass(frozen=True, slots=True)
class Steps:
    """Multiplied by `by` at each of `places`."""

    by: float
    places: tuple[float, ...]
    unit: str

    def factor(self, progress: float, length: Length, errors: Sequence[float]) -> float:
        """`by` to the number of places behind."""
        # A place is reached with its own step, whatever a division rounds.
        behind = sum(progress >= length.share(place, self.unit) - 1e-9 for place in self.places)
        return self.by**behind


@dataclass(frozen=True, slots=True)
class Every:
    """Multiplied by `by` each `each` epochs or iterations."""

    by: float
    each: float
    unit: str

    def factor(self, progress: float, length: Length, errors: Sequence[float]) -> float:
        """`by` to the number of whole stretches behind."""
        return float(self.by ** int(progress / length.share(self.each, self.unit) + 1e-9))


@dataclass(frozen=True, slots=True)
class Plateau:
    """Multiplied by `by`, at most `times`, when `patience` epochs did not lower the error."""

    by: float
    patience: int
    times: int

    def factor(self, progress: float, length: Length, errors: Sequence[float]) -> float:
        """`by` to the number of plateaus among the errors."""
        return self.by ** self.drops(errors)

    def drops(self, errors: Sequence[float]) -> int:
        """How often the error stood still so far."""
        best, waited, drops = float("inf"), 0, 0
        for error in errors:
            waited = 0 if error < best else waited + 1
            best = min(best, error)
            if waited >= self.patience and drops < self.times:
                drops, waited = drops + 1, 0
        return drops


@dataclass(frozen=True, slots=True)
class Halving:
    """Multiplied by `by` whenever the remaining run has halved, at most `times` (FractalNet)."""

    by: float
    times: int

    def factor(self, progress: float, length: Length, errors: Sequence[float]) -> float:
        """Places are 1/2, 3/4, 7/8 and so on of the run."""
        places = (1 - 0.5**n for n in range(1, self.times + 1))
        return self.by ** sum(progress >= place - 1e-9 for place in places)


@dataclass(frozen=True, slots=True)
class Rates:
    """A rate of its own for each stretch; the recipe's rate is the first of them (LeNet-5)."""

    rates: tuple[float, ...]
    places: tuple[float, ...]
    unit: str

    def factor(self, progress: float, length: Length, errors: Sequence[float]) -> float:
        """The rate of the stretch, by the first stretch's."""
        behind = sum(progress >= length.share(place, self.unit) - 1e-9 for place in self.places)
        return self.rates[behind] / self.rates[0]


@dataclass(frozen=True, slots=True)
class Warmup:
    """The first `count` epochs or iterations: the rate rises from `start` times itself to itself.

    With `power` 0 it stays at `start` times itself until the warm-up ends.
    """

    count: float
    unit: str
    start: float = 0.0
    power: float = 1.0

    def factor(self, done: float) -> float:
        """The factor when the share `done` of the warm-up is behind."""
        return self.start + (1 - self.start) * (done**self.power if self.power else 0.0)


NUMBER = r"([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)"
_PLACES = r"([0-9]+(?:\.[0-9]+)?(?:,[0-9]+(?:\.[0-9]+)?)*)"
_UNIT = r"(epochs|iterations)"
_WARMUP = re.compile(
    rf"{NUMBER} (epochs|iterations) (?:from {NUMBER}(?: power {NUMBER})?|at {NUMBER})"
)


def _places(words: str) -> tuple[float, ...]:
    return tuple(float(place) for place in words.split(","))


_READERS: dict[str, Callable[..., Schedule]] = {
    r"constant": lambda: Poly(0.0),
    r"linear to 0": lambda: Poly(1.0),
    rf"poly {NUMBER}": lambda power: Poly(float(power)),
    rf"step {NUMBER} at {_PLACES} {_UNIT}": lambda by, places, unit: Steps(
        float(by), _places(places), unit
    ),
    rf"step {NUMBER} every {NUMBER} {_UNIT}": lambda by, each, unit: Every(
        float(by), float(each), unit
    ),
    rf"plateau {NUMBER} patience ([0-9]+) times ([0-9]+)": lambda by, patience, times: Plateau(
        float(by), int(patience), int(times)
    ),
    rf"halving {NUMBER} times ([0-9]+)": lambda by, times: Halving(float(by), int(times)),
    rf"rates ([0-9.e -]+) at {_PLACES} {_UNIT}": lambda rates, places, unit: Rates(
        tuple(map(float, rates.split())), _places(places), unit
    ),
}


@lru_cache(maxsize=256)
def read_schedule(words: str) -> Schedule:
    """The schedule that the words name.

    Raises:
        UsageError: words of no known form, or a number out of bounds; lists the forms.

    >>> read_schedule("step 0.1 at 32000,48000 iterations")
    Steps(by=0.1, places=(32000.0, 48000.0), unit='iterations')
    >>> read_schedule("rates 0.02 0.01 at 3 epochs")
    Rates(rates=(0.02, 0.01), places=(3.0,), unit='epochs')
    """
    schedule = _schedule(words) if len(words) <= LONGEST else None
    if schedule is None or not _is_sound(schedule):
        forms = "; ".join(line.strip() for line in FORMS.strip().splitlines())
        rule = (
            ""
            if schedule is None
            else (
                " Factors and rates are above 0, factors at most 1, powers at most 10; places "
                "rise; patience and times are 1 to 1000."
            )
        )
        raise UsageError(f"no schedule reads {_shown(words)}.{rule} Known forms: {forms}.")
    return schedule


def _schedule(words: str) -> Schedule | None:
    for form, make in _READERS.items():
        if found := re.fullmatch(form, words):
            try:
                return make(*found.groups())
            except ValueError:  # a rate such as "1-1"
                return None
    return None


def _is_sound(schedule: Schedule) -> bool:
    """True when no number of it can overflow, divide by 0 or take for ever."""
    if isinstance(schedule, Poly):
        return schedule.power <= 10
    if isinstance(schedule, Rates):
        fit = len(schedule.rates) == len(schedule.places) + 1
        return fit and _rise(schedule.places) and all(1e-12 <= r <= 100 for r in schedule.rates)
    if not isinstance(schedule, (Steps, Every, Plateau, Halving)) or not 0 < schedule.by <= 1:
        return False
    if isinstance(schedule, Steps):
        return _rise(schedule.places)
    if isinstance(schedule, Every):
        return 0.01 <= schedule.each <= 1e12
    waits = schedule.patience if isinstance(schedule, Plateau) else 1
    return 1 <= waits <= 1000 and 1 <= schedule.times <= 1000


def first_place(schedule: Schedule) -> tuple[float, str] | None:
    """Where a schedule of fixed places first moves the rate, and in which unit; else None.

    >>> first_place(read_schedule("step 0.1 at 32000,48000 iterations"))
    (32000.0, 'iterations')
    """
    if isinstance(schedule, (Steps, Rates)):
        return schedule.places[0], schedule.unit
    return (schedule.each, schedule.unit) if isinstance(schedule, Every) else None


def _rise(places: tuple[float, ...]) -> bool:
    return places[0] > 0 and places[-1] <= 1e12 and list(places) == sorted(set(places))


@lru_cache(maxsize=256)
def read_warmup(words: str) -> Warmup | None:
    """The warm-up that the words name; None for "none".

    Raises:
        UsageError: words of no known form, or a number out of bounds.

    >>> read_warmup("400 iterations at 0.1"), read_warmup("1 epochs from 0").power
    (Warmup(count=400.0, unit='iterations', start=0.1, power=0.0), 1.0)
    """
    if words == "none":
        return None
    found = _WARMUP.fullmatch(words) if len(words) <= LONGEST else None
    if found is None:
        raise UsageError(
            f"no warm-up reads {_shown(words)}. Known forms: none; N epochs|iterations at FACTOR; "
            "N epochs|iterations from FACTOR [power P]."
        )
    power = 0.0 if found[5] is not None else float(found[4] or 1)
    warmup = Warmup(float(found[1]), found[2], float(found[5] or found[3]), power)
    if not (0 < warmup.count <= 1e12 and warmup.start <= 1 and power <= 10):
        raise UsageError(
            f"a number of the warm-up {_shown(words)} is out of bounds: the length is above 0, "
            "factors are at most 1, powers at most 10."
        )
    return warmup


def _shown(words: str) -> str:
    return repr(words if len(words) <= 80 else words[:77] + "...")
