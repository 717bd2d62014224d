"""One sitting: calibrate, keep, and check against networks that are timed in between."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from convarium.cost.latency.calibrate import SECONDS, Calibration, calibrate
from convarium.cost.latency.check import Rounds
from convarium.cost.latency.model import typical_error
from convarium.cost.latency.shapes import FAMILIES, drawn
from convarium.cost.latency.store import Kept, keep, kept, key_of, writable
from convarium.cost.measured.interference import Interference, Watch
from convarium.errors import InputError, UsageError
from convarium.machine import Plan


@dataclass(frozen=True, slots=True)
class Sitting:
    """What a calibration gave: shapes timed and left out, errors held out and on networks.

    `seconds` are those of the timing, `held_out` the mean absolute error in log seconds by family,
    `interference` whether the machine was disturbed meanwhile, `not_timed` families left out.
    """

    key: str
    path: str
    shapes: int
    left_out: int
    seconds: float
    held_out: dict[str, float]
    reached: dict[str, Any] | None
    interference: Interference
    not_timed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        return asdict(self)


def sit(
    plan: Plan,
    *,
    with_check: bool = False,
    seconds: float = SECONDS,
    tell: Callable[[str], None] = lambda text: None,
) -> Sitting:
    """Calibrates this machine under `plan` and keeps it, with the error on networks on request.

    The networks are timed in rounds spread over the calibration: a machine that changes its pace
    within the minute does so for both.

    Raises:
        InputError: nothing could be timed, or the home folder cannot be written.
    """
    writable()
    rounds = Rounds(plan, tell=tell) if with_check else None
    tell(f"calibrating {key_of(plan)}: about a minute")
    told = [0]

    def progress(share: float, shapes: int) -> None:
        if int(10 * share) > told[0]:
            told[0] = int(10 * share)
            tell(f"calibrating, {100 * share:.0f} %: {shapes} shapes")

    watch = Watch(plan.threads)

    def pause(share: float) -> None:
        watch.look()
        if rounds is not None:
            rounds.pause(share)

    done = calibrate(plan, seconds=seconds, tell=progress, pause=pause)
    if not done.samples:
        raise InputError("no shape could be timed: the machine is too busy. Try again later.")
    missing = _untimed(done, plan)
    held_out = typical_error(done.samples)
    chains = tuple(done.chains)
    found = Kept(tuple(done.samples), held_out, None, done.left_out, chains)
    reached = None if rounds is None else rounds.against(found.model).to_dict()
    path = keep(plan, replace(found, reached=reached))
    shapes = len(done.samples)
    told_of = (shapes, done.left_out, done.seconds, held_out, reached, watch.verdict(), missing)
    return Sitting(key_of(plan), str(path), *told_of)


def _untimed(done: Calibration, plan: Plan) -> tuple[str, ...]:
    """The families that the time did not reach.

    Raises:
        InputError: an earlier calibration has some of them: it stays.
    """
    timed = {call.family for call, _ in done.samples}
    every = dict.fromkeys(call.family for turn in islice(drawn(), FAMILIES) for call in turn)
    missing = tuple(family for family in every if family not in timed)
    with suppress(UsageError):  # none is kept
        before = {call.family for call, _ in kept(plan).samples}
        if lost := before.intersection(missing):
            raise InputError(
                f"the machine is too busy: no {' or '.join(sorted(lost))} could be timed. The "
                "earlier calibration is kept; try again when the machine is quiet."
            )
    return missing
