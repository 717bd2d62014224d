"""What training tells, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Before the first step. `epochs` and `steps` are None where a time is set instead."""

    train_size: int
    steps_per_epoch: int
    epochs: int | None
    steps: int | None
    minutes: float | None


@dataclass(frozen=True, slots=True)
class Resumed:
    """The run goes on from a checkpoint. `exact`: it will end in the bits of an undisturbed one.

    Otherwise `changed` says what is not as it was: (then, now) of threads, torch version and so on.
    """

    step: int  # finished by then
    epochs: tuple[EpochDone, ...]  # finished by then
    seconds: float
    exact: bool
    changed: dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class MicroBatchHalved:
    """Memory ran out: from this step on the batch is taken in smaller parts."""

    step: int
    micro_batch: int


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint behind `step` is being written."""

    step: int


@dataclass(frozen=True, slots=True)
class StepDone:
    """Behind each step. `loss` (nats, auxiliary heads included) is None at most steps.

    Reading a loss waits for the device, so it is read every few steps, as the mean of those.
    """

    step: int  # from 1
    epoch: int  # from 1
    lr: float
    loss: float | None
    seconds: float  # of training so far, without the time that the consumer takes
    grad_norms: dict[str, float] | None = None  # by stage, where `loss` is read


@dataclass(frozen=True, slots=True)
class EpochDone:
    """Behind each epoch. With `minutes`, the last epoch may be a part of one."""

    epoch: int  # from 1
    loss: float  # mean over the epoch's samples, in nats, auxiliary heads included
    train_top1: float  # share in [0, 1], on augmented pictures, as seen while training
    seconds: float  # of training so far
    images_per_second: float  # of this epoch
    error: float | None = None  # share in [0, 1], on the recipe's validation part if there is one
    lr: float | None = None  # of its last step
    grad_norms: dict[str, float] = field(default_factory=dict)  # by stage, mean over some steps


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event. The model is trained in place; it has the weights that are to be tested."""

    epochs: int
    steps: int
    seconds: float
    images_per_second: float  # of the whole run
    tested_epoch: int | None = None  # whose weights the model has, where that is not the last


Event = (
    RunStarted | Resumed | MicroBatchHalved | CheckpointSaved | StepDone | EpochDone | RunFinished
)
