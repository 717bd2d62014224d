"""One sitting: calibrate, keep, and check against networks that are timed in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from convarium.cost.latency.calibrate import SECONDS, calibrate
from convarium.cost.latency.check import Rounds
from convarium.cost.latency.model import typical_error
from convarium.cost.latency.store import Kept, keep, key_of
from convarium.errors import InputError
from convarium.machine import Plan


@dataclass(frozen=True, slots=True)
class Sitting:
    """What a calibration gave: shapes timed and left out, errors held out and on networks."""

    key: str
    path: str
    shapes: int
    left_out: int
    seconds: float
    held_out: dict[str, float]
    reached: dict[str, Any] | None

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
    rounds = Rounds(plan, tell=tell) if with_check else None
    tell(f"calibrating {key_of(plan)}: about a minute")
    told = [0]

    def progress(share: float, shapes: int) -> None:
        if int(10 * share) > told[0]:
            told[0] = int(10 * share)
            tell(f"calibrating, {100 * share:.0f} %: {shapes} shapes")

    pause = (lambda share: None) if rounds is None else rounds.pause
    done = calibrate(plan, seconds=seconds, tell=progress, pause=pause)
    if not done.samples:
        raise InputError("no shape could be timed: the machine is too busy. Try again later.")
    held_out = typical_error(done.samples)
    chains = tuple(done.chains)
    found = Kept(tuple(done.samples), held_out, None, done.left_out, chains)
    reached = None if rounds is None else rounds.against(found.model).to_dict()
    path = keep(plan, replace(found, reached=reached))
    shapes = len(done.samples)
    return Sitting(key_of(plan), str(path), shapes, done.left_out, done.seconds, held_out, reached)
