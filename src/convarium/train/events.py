"""What training tells, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Before the first step. `epochs` and `steps` are None where a time is set instead."""

    train_size: int
    steps_per_epoch: int
    epochs: int | None
    steps: int | None
    minutes: float | None


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


@dataclass(frozen=True, slots=True)
class EpochDone:
    """Behind each epoch. With `minutes`, the last epoch may be a part of one."""

    epoch: int  # from 1
    loss: float  # mean over the epoch's samples, in nats, auxiliary heads included
    train_top1: float  # share in [0, 1], on augmented pictures, as seen while training
    seconds: float  # of training so far
    images_per_second: float  # of this epoch


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event. The model is trained in place."""

    epochs: int
    steps: int
    seconds: float
    images_per_second: float  # of the whole run


Event = RunStarted | StepDone | EpochDone | RunFinished
