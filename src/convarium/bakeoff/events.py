"""What a race tells while it runs, as plain values; progress bars and messages consume them."""

from __future__ import annotations

from dataclasses import dataclass

from convarium.records.model import Result


@dataclass(frozen=True, slots=True)
class RaceStarted:
    """The data is there and the line-up is known. `kept` were finished by an earlier call."""

    data: str
    train_size: int
    test_size: int
    classes: int
    models: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NetworkStarted:
    """A network begins to train. `work` is the race's work still to do, its own included.

    `epochs` is None where minutes are set. `share` is its own part of `work`, in (0, 1].
    """

    model: str
    position: int  # from 1
    epochs: int | None
    minutes: float | None
    plan: str
    share: float


@dataclass(frozen=True, slots=True)
class NetworkProgress:
    """A few steps further. `done` is a share in [0, 1]; `loss` in nats, None until it is read."""

    model: str
    done: float
    epoch: int
    loss: float | None
    seconds: float
    lr: float = 0.0
    images_per_second: float | None = None  # over the last few steps
    grad_norms: dict[str, float] | None = None  # by stage, as last read


@dataclass(frozen=True, slots=True)
class NetworkDone:
    """A network is trained and evaluated; its speed is measured at the end of the race."""

    result: Result


@dataclass(frozen=True, slots=True)
class NetworkFailed:
    """A network could not take part; the race goes on."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class TimingStarted:
    """The inference times of all networks are being measured, in turns."""

    models: tuple[str, ...]
    seconds: float  # about


RaceEvent = (
    RaceStarted | NetworkStarted | NetworkProgress | NetworkDone | NetworkFailed | TimingStarted
)
