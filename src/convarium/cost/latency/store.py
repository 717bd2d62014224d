"""The kept calibrations: one JSON file, an entry a machine, torch version and plan."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from convarium.cost.latency.calibrate import Sample
from convarium.cost.latency.calls import SIZES, Call
from convarium.cost.latency.chains import Chain
from convarium.cost.latency.model import LatencyModel
from convarium.errors import UsageError, counted
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
    path = home() / NAME
    with _alone():
        whole = {"schema": SCHEMA, "calibrations": {**_entries(), key_of(plan): entry}}
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(whole, allow_nan=False), encoding="utf-8")
    return path


def writable() -> None:
    """Says now, and not after a minute's work, that nothing can be kept.

    Raises:
        InputError: the home folder cannot be written.
        ExhaustedError: the disk is full.
    """
    with _alone(), written_whole(home() / f"{NAME}.try") as temporary:
        temporary.write_bytes(b" ")
    (home() / f"{NAME}.try").unlink(missing_ok=True)


@contextmanager
def _alone() -> Iterator[None]:
    """One writer at a time: two that read the file at once would lose the other's entry."""
    try:
        import fcntl

        home().mkdir(parents=True, exist_ok=True)
        handle = os.open(home() / f".{NAME}.lock", os.O_CREAT | os.O_RDWR, 0o666)
    except (ImportError, OSError):  # not on this system; or writing says why it cannot be
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


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
            f"this machine is not calibrated for {counted(plan.threads, 'thread')}, "
            f"{plan.precision}, {plan.layout}. Run once: convarium bench --calibrate {options}"
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
        if not samples or not (reached is None or _is_check(reached)):
            return None
        chains = tuple(_chain(*raw) for raw in entry.get("chains", ()))
        return Kept(samples, held_out, reached, int(entry.get("left_out", 0)), chains)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        return None


def _is_check(reached: dict[str, Any]) -> bool:
    """True where what is told of a check's result is there, and is numbers.

    Raises:
        LookupError, TypeError, AttributeError: something is missing, or of another kind.
    """
    model, alone = reached["model"], reached["macs_alone"]
    shares = [model["mean_error"], model["worst_error"], alone["mean_error"]]
    shares += [reached["repeatability"], reached["rounds"], reached.get("ms_per_gmac") or 0]
    taus = [tau for tau in (model["tau"], alone["tau"]) if tau is not None]
    return len(reached["rows"]) > 0 and all(math.isfinite(value) for value in (*shares, *taus))


def _chain(calls: list[list[Any]], seconds: float) -> Chain:
    return tuple(_sample(kind, sizes, 1.0)[0] for kind, sizes in calls), _seconds(seconds)


def _sample(kind: str, sizes: list[int], seconds: float) -> Sample:
    call = Call(kind, tuple(int(size) for size in sizes))
    if len(call.sizes) != len(SIZES[kind]) or min(call.sizes, default=1) < 1:
        raise ValueError(kind)
    return call, _seconds(seconds)


def _seconds(value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(value)
    return float(value)
