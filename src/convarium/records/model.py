"""What one network did in one run, as a plain value that JSON and SQLite can hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class EpochPoint:
    """One point of a training curve. `loss` is the mean cross-entropy in nats."""

    epoch: int
    loss: float
    train_top1: float  # share in [0, 1], with augmentation, as seen while training
    seconds: float  # since the start of training
    error: float | None = None  # share in [0, 1], on the validation part if there is one
    lr: float | None = None
    grad_norms: dict[str, float] = field(default_factory=dict)  # by stage, before clipping


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test picture the network was most sure about and wrong."""

    index: int  # in the test split
    truth: int
    predicted: int
    probability: float  # the network's own, of its wrong answer
    picture: str  # data:image/png;base64,...


@dataclass(frozen=True, slots=True)
class Result:
    """One network's share of a race. Times in seconds or milliseconds as named, sizes in bytes.

    What could not be had is None and has its reason in `unavailable`, by field name.
    """

    model: str
    status: str  # "done", "failed", "interrupted"
    seed: int
    epochs: int
    top1_correct: int
    top1_total: int
    top1_low: float  # Wilson 95 % interval, shares in [0, 1]
    top1_high: float
    top5_correct: int
    params: int
    macs: int
    megabytes: float  # of the float32 weights and buffers on disk, 1e6 bytes
    train_seconds: float
    ms_batch1: float  # median
    ms_batch1_spread: tuple[float, float]  # quartiles
    images_per_second: float  # at batch 32, median
    images_per_second_spread: tuple[float, float]
    peak_bytes: int | None  # resident memory of training, above the start
    joules_per_image: float | None
    confusion: tuple[tuple[int, ...], ...]  # row: truth, column: answer
    curve: tuple[EpochPoint, ...]
    mistakes: tuple[Mistake, ...]
    recipe: dict[str, Any]
    plan: dict[str, Any]  # threads, layout, precision, and how they were chosen
    unavailable: dict[str, str] = field(default_factory=dict)
    tested_epoch: int | None = None  # the best by validation; None: the last, as recipes mostly say


@dataclass(frozen=True, slots=True)
class Race:
    """What the report needs of a whole race."""

    data: str  # "digits" or the folder's name
    classes: tuple[str, ...]
    train_size: int
    test_size: int
    side: int
    channels: int
    seed: int
    command: str  # repeats the race
    started: str  # ISO 8601, UTC
    machine: dict[str, Any]  # processor, cores, memory, system, versions
    results: tuple[Result, ...]
    front_time: tuple[str, ...]  # networks that no other beats in both accuracy and milliseconds
    front_size: tuple[str, ...]  # the same in megabytes
    sentence: str  # the race in one sentence
    skipped: int = 0  # pictures that could not be read and were left out on request
    earlier: tuple[Result, ...] = ()  # of other networks, raced in the folder before, as these
