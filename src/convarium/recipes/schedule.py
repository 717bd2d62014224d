"""How the learning rate moves over a run: each schedule is a few words, and a pure function.

The words are what recipes, TOML files, `--set` and records hold; `read` turns them into one of the
classes here. A schedule gives a factor on the recipe's rate from how much of the run is done, so a
run shortened by `--epochs` keeps its shape. Only a plateau looks at anything else: the validation
errors of the epochs so far, which a checkpoint keeps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
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
"""


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
_STEP_AT = re.compile(
    rf"step {NUMBER} at ([0-9]+(?:\.[0-9]+)?(?:,[0-9]+(?:\.[0-9]+)?)*) (epochs|iterations)"
)
_STEP_EVERY = re.compile(rf"step {NUMBER} every {NUMBER} (epochs|iterations)")
_POLY = re.compile(rf"poly {NUMBER}")
_PLATEAU = re.compile(rf"plateau {NUMBER} patience ([0-9]+) times ([0-9]+)")
_HALVING = re.compile(rf"halving {NUMBER} times ([0-9]+)")
_WARMUP = re.compile(
    rf"{NUMBER} (epochs|iterations) (?:from {NUMBER}(?: power {NUMBER})?|at {NUMBER})"
)


@cache
def read_schedule(words: str) -> Schedule:
    """The schedule that the words name.

    Raises:
        UsageError: words of no known form; lists the forms.

    >>> read_schedule("step 0.1 at 32000,48000 iterations")
    Steps(by=0.1, places=(32000.0, 48000.0), unit='iterations')
    """
    if words in ("constant", "linear to 0"):
        return Poly(0.0 if words == "constant" else 1.0)
    if found := _POLY.fullmatch(words):
        return Poly(float(found[1]))
    if found := _STEP_AT.fullmatch(words):
        places = tuple(float(place) for place in found[2].split(","))
        return Steps(float(found[1]), places, found[3])
    if (found := _STEP_EVERY.fullmatch(words)) and float(found[2]) > 0:
        return Every(float(found[1]), float(found[2]), found[3])
    if found := _PLATEAU.fullmatch(words):
        return Plateau(float(found[1]), int(found[2]), int(found[3]))
    if found := _HALVING.fullmatch(words):
        return Halving(float(found[1]), int(found[2]))
    forms = "; ".join(line.strip() for line in FORMS.strip().splitlines())
    raise UsageError(f"no schedule reads {words!r}. Known forms: {forms}.")


@cache
def read_warmup(words: str) -> Warmup | None:
    """The warm-up that the words name; None for "none".

    Raises:
        UsageError: words of no known form.

    >>> read_warmup("400 iterations at 0.1"), read_warmup("1 epochs from 0").power
    (Warmup(count=400.0, unit='iterations', start=0.1, power=0.0), 1.0)
    """
    if words == "none":
        return None
    found = _WARMUP.fullmatch(words)
    if found is None:
        raise UsageError(
            f"no warm-up reads {words!r}. Known forms: none; N epochs|iterations at FACTOR; "
            "N epochs|iterations from FACTOR [power P]."
        )
    count, unit = float(found[1]), found[2]
    if found[5] is not None:
        return Warmup(count, unit, float(found[5]), 0.0)
    return Warmup(count, unit, float(found[3]), float(found[4] or 1))
