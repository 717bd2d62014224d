"""Where a run stands: what a checkpoint keeps beside tensors, and what makes a resume exact."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any

import torch

import convarium
from convarium import __version__
from convarium.data import Dataset
from convarium.data.model import InMemory, OnDisk
from convarium.errors import InputError
from convarium.machine import Plan, device_label
from convarium.recipes.schedule import Length
from convarium.train.events import EpochDone
from convarium.train.world import World


@dataclass(slots=True)
class Position:
    """Counts of what is finished. Order, views and masks follow from these and the seed alone."""

    epoch: int = 0
    batch: int = 0  # of the epoch behind `epoch`
    step: int = 0
    images: int = 0
    seconds: float = 0.0  # of training
    micro_batch: int | None = None
    exact: bool = True  # no resume so far under another exactness key
    errors: list[float] = field(default_factory=list)  # on the validation part, an epoch each
    best_step: int | None = None  # behind the first epoch with the lowest error
    curve: list[EpochDone] = field(default_factory=list)
    tally: list[float] | None = None  # of the running epoch

    @property
    def best_epoch(self) -> int | None:
        """The first with the lowest validation error; from 1, None without any."""
        return self.errors.index(min(self.errors)) + 1 if self.errors else None

    @classmethod
    def read(cls, raw: Mapping[str, Any], batches: int) -> Position:
        """From a manifest of a run with so many batches an epoch.

        Raises:
            InputError: it has other fields, or numbers that no such run has.
        """
        try:
            given = {f.name: raw[f.name] for f in fields(cls)}
            given["curve"] = [EpochDone(**point) for point in raw["curve"]]
            found = cls(**given)
            if not found._can_be(batches):
                raise InputError("the checkpoint's numbers cannot be a run's. Give another.")
        except (KeyError, TypeError) as error:
            raise InputError(f"the checkpoint is of another version ({error}).") from error
        return found

    def _can_be(self, batches: int) -> bool:
        """False where a number is none, not finite, or out of bounds.

        Raises:
            TypeError: something else stands where a number should.
        """
        counts = [self.epoch, self.batch, self.step, self.images, (self.micro_batch or 1) - 1]
        others = [self.seconds, *self.errors, *(self.tally or ())]
        return (
            all(isinstance(count, int) and count >= 0 for count in counts)
            and all(map(isfinite, others))
            and self.batch < batches
            and self.micro_batch != 0
            and (self.tally is None or len(self.tally) >= 3)
        )


@dataclass(frozen=True, slots=True)
class Span:
    """How far a run goes: its length by epochs and iterations, or minutes of training."""

    length: Length
    minutes: float | None = None

    @property
    def steps(self) -> int | None:
        """Of the whole run; None where minutes are set."""
        return None if self.minutes else round(self.length.iterations)

    def share(self, step: int, seconds: float) -> float:
        """What part of the run is done behind that step, after those seconds."""
        return seconds / (60 * self.minutes) if self.minutes else step / (self.steps or 1)


def running() -> dict[str, str]:
    """What several processes must run alike, by name: versions and this package's files."""
    digest = hashlib.sha256()
    root = Path(convarium.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\n" + path.read_bytes())
    return {
        "the versions of torch": str(torch.__version__),
        "convarium's files": digest.hexdigest()[:16],
    }


def pictures_of(dataset: Dataset) -> dict[str, str]:
    """What tells other pixels under the same names and sizes.

    Nothing for packed files, whose pixels are in the fingerprint.

    Raises:
        BadPicturesError: a picture on disk that cannot be read any more.
    """
    store = dataset.train.store
    if not isinstance(store, InMemory | OnDisk):
        return {}
    return {"pictures": f"{store.checksum():08x}"}


def exactness(plan: Plan, world: World) -> dict[str, str]:
    """What must be the same for a resumed run to end in the same bits."""
    told = {
        "threads": plan.threads,
        "world": world.size,
        "precision": plan.precision,
        "layout": plan.layout,
        "micro_batch": plan.micro_batch,
        "device": device_label(plan.device),
        "torch": torch.__version__,
        "convarium": __version__,
    }
    if world.size > 1:
        told |= {"mode": world.mode, "sync_bn": world.sync_bn}
    if world.devices:
        told |= {"devices": ",".join(world.devices)}
    return {what: str(value) for what, value in told.items()}
