"""The kept calibrations: one JSON file, an entry a machine, torch version and plan."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from convarium.cost.latency.calibrate import Sample
from convarium.cost.latency.calls import SIZES, Call
from convarium.cost.latency.chains import Chain
from convarium.cost.latency.model import LatencyModel
from convarium.errors import UsageError
from convarium.files import home, written_whole
from convarium.machine import Plan
from convarium.machine.describe import available_cores, processor

NAME = "latency.json"
SCHEMA = "convarium/1"


@dataclass(frozen=True, slots=True)
class Kept:
    """A calibration: its samples, the errors on samples held out, and those on networks if any.

    `held_out` is the mean absolute error in log seconds by family, `reached` what
    `check.Check.to_dict` gives.
    """

    samples: tuple[Sample, ...]
    held_out: dict[str, float]
    reached: dict[str, Any] | None = None
    left_out: int = 0
    chains: tuple[Chain, ...] = ()
    model: LatencyModel = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", LatencyModel(self.samples, self.chains))


def key_of(plan: Plan) -> str:
    """What a calibration holds for."""
    cores = f"{available_cores()} cores"
    words = (processor(), cores, f"torch {torch.__version__}", f"{plan.threads} threads")
    return " | ".join((*words, plan.precision, plan.layout))


def keep(plan: Plan, kept: Kept) -> Path:
    """Writes a calibration in the place of an earlier one of the same key; the file's path.

    Raises:
        InputError: the home folder cannot be written.
    """
    entry = {
        "samples": [[call.kind, list(call.sizes), seconds] for call, seconds in kept.samples],
        "held_out": kept.held_out,
        "reached": kept.reached,
        "left_out": kept.left_out,
        "chains": [
            [[[call.kind, list(call.sizes)] for call in calls], seconds]
            for calls, seconds in kept.chains
        ],
    }
    whole = {"schema": SCHEMA, "calibrations": {**_entries(), key_of(plan): entry}}
    path = home() / NAME
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(whole, allow_nan=False), encoding="utf-8")
    return path


def kept(plan: Plan) -> Kept:
    """The calibration of this machine under `plan`.

    Raises:
        UsageError: there is none; with the line that makes it.
    """
    entry = _entries().get(key_of(plan))
    found = _read(entry) if isinstance(entry, dict) else None
    if found is None:
        options = f"--threads {plan.threads}"
        options += f" --precision {plan.precision}" if plan.precision != "fp32" else ""
        options += f" --layout {plan.layout}" if plan.layout != "contiguous" else ""
        raise UsageError(
            f"this machine is not calibrated for {plan.threads} threads, {plan.precision}, "
            f"{plan.layout}. Run once: convarium bench --calibrate {options}"
        )
    return found


def _entries() -> dict[str, Any]:
    """None where the file is missing or damaged: a calibration can be made again."""
    try:
        read = json.loads((home() / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    entries = read.get("calibrations") if isinstance(read, dict) else None
    return entries if isinstance(entries, dict) else {}


def _read(entry: dict[str, Any]) -> Kept | None:
    """The entry as it was kept; None where another hand or version wrote it."""
    try:
        samples = tuple(_sample(*raw) for raw in entry["samples"])
        held_out = {str(k): float(v) for k, v in entry["held_out"].items()}
        reached = entry.get("reached")
        if not samples or not isinstance(reached, dict | None):
            return None
        chains = tuple(_chain(*raw) for raw in entry.get("chains", ()))
        return Kept(samples, held_out, reached, int(entry.get("left_out", 0)), chains)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _chain(calls: list[list[Any]], seconds: float) -> Chain:
    return tuple(_sample(kind, sizes, 1.0)[0] for kind, sizes in calls), float(seconds)


def _sample(kind: str, sizes: list[int], seconds: float) -> Sample:
    call = Call(kind, tuple(int(size) for size in sizes))
    if len(call.sizes) != len(SIZES[kind]) or min(call.sizes, default=1) < 1:
        raise ValueError(kind)
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(seconds)
    return call, float(seconds)
