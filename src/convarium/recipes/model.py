"""A recipe: every number that training needs beside the network and the data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import inf
from typing import Any, cast

from convarium.errors import UsageError
from convarium.recipes.limits import check_limits
from convarium.recipes.schedule import (
    Length,
    Rates,
    first_place,
    read_schedule,
    read_warmup,
)

Range = tuple[float, float]
OPTIMIZERS = ("sgd", "rmsprop", "sdlm")
LOSSES = ("cross_entropy", "logistic", "map")
INITS = ("paper", "unit_variance", "xavier", "he")
DECAY_ON = ("all", "weights", "not depthwise")
BORDERS = ("repeat", "zero", "reflect")
TESTED = ("last", "best")
NORMALISATIONS = ("channel", "channel mean", "pixel mean", "unit", "gcn zca", "lenet")
_CHOICES = {
    "optimizer": OPTIMIZERS,
    "loss": LOSSES,
    "init": INITS,
    "decay_on": DECAY_ON,
    "border": BORDERS,
    "normalise": NORMALISATIONS,
    "tested": TESTED,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Optimiser, schedule, augmentation and initialisation of one training.

    Dropout rates and initial values that a paper gives its network are the network's own;
    `options` hands the network's builder what differs. `detection` holds what only a detector's
    training has, and is empty for a network that classifies. `sources` says of each field where its
    value comes from, or "unstated: our choice because ...".
    """

    name: str
    lr: float  # highest, behind the warm-up
    epochs: int | None = None  # or iterations
    iterations: int | None = None
    batch: int = 32
    optimizer: str = "sgd"  # "rmsprop"; "sdlm": LeNet-5's diagonal Levenberg-Marquardt
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    decay_on: str = "all"  # parameters; "weights": not biases and batch norm; "not depthwise"
    schedule: str = "linear to 0"  # convarium.recipes.schedule has the forms
    warmup: str = "1 epochs from 0"  # at most a quarter of the run
    clip: float | None = None  # largest norm of the gradient of all parameters together
    max_filter_rms: float | None = None  # ZFNet: a filter above it is scaled down to it
    loss: str = "cross_entropy"
    aux_weight: float = 0.3  # of each auxiliary head's loss
    init: str = "paper"  # "unit_variance": data-dependent, each map has mean 0, variance 1
    init_from: str | None = None  # a network whose trained layers of equal names are copied
    init_convolutions: int | None = None  # of those, only the first so many; None: all
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)  # of the builder
    average: float | None = None  # Polyak: share of the old mean kept a step; the mean is tested
    shift_px: int = 1  # farthest shift each way, in pixels
    border: str = "repeat"  # what stands beyond the border of a shifted picture
    mirror: bool = False
    crop: bool = False  # a random window of the decoded picture instead of its centre
    short_side: Range | None = None  # scale jitter: the short side is drawn from it, in pixels
    area: Range | None = None  # random resized crop: share of the picture
    aspect: Range = (3 / 4, 4 / 3)  # of a random resized crop, width by height
    pca_sigma: float = 0.0  # AlexNet's colour noise, in standard deviations
    jitter: float = 0.0  # brightness, contrast and saturation change by up to this share
    normalise: str = "channel"  # mean and deviation of each channel
    validation: float = 0.0  # share of the training split that is held out and tested each epoch
    tested: str = "last"  # epoch; "best": the first with the lowest error on the validation part
    detection: Mapping[str, Any] = field(default_factory=dict, hash=False)  # of a detector's paper
    sources: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def __post_init__(self) -> None:
        for what, known in _CHOICES.items():
            if getattr(self, what) not in known:
                raise self._wrong(what, " or ".join(known))
        if (self.epochs is None) == (self.iterations is None):
            raise UsageError(f"{self.name}: give epochs or iterations, one of them.")
        check_limits(self)
        read_warmup(self.warmup)
        schedule = read_schedule(self.schedule)
        if isinstance(schedule, Rates) and schedule.rates[0] != self.lr:
            raise self._wrong("lr", f"{schedule.rates[0]:g}, the first of the schedule's rates")
        if not self.validation:
            _check_without_validation(self)

    def unmoved(self, batches: float = inf) -> str:
        """One sentence where the run ends before the schedule's first place; else no words.

        Args:
            batches: an epoch; a place in the other unit than the run's length needs them.
        """
        length = self.length(batches)
        place, unit = first_place(read_schedule(self.schedule)) or (0.0, "epochs")
        end = length.epochs if unit == "epochs" else length.iterations
        if not 0 < end <= place:
            return ""
        return (
            f"the schedule {self.schedule!r} will never move the rate: its first place is "
            f"{place:g} {unit}, the run ends at {end:g}. Give other places, or shorten its "
            "run by --epochs, which keeps the shape."
        )

    def length(self, batches: float) -> Length:
        """Epochs and iterations of a whole run of `batches` batches an epoch."""
        if self.epochs is not None:
            return Length(self.epochs, self.epochs * batches)
        assert self.iterations is not None
        return Length(self.iterations / batches, self.iterations)

    def lr_at(self, progress: float, length: Length, errors: Sequence[float] = ()) -> float:
        """Learning rate when `progress` (0 to 1) of a run of `length` is done.

        Args:
            progress: share of the run.
            length: of this run, which may be shorter than the recipe's: a warm-up keeps its epochs
                or iterations, the schedule keeps its shape.
            errors: validation errors of the finished epochs, for a plateau.

        >>> recipe = Recipe("r", epochs=10, lr=0.1)
        >>> rates = [recipe.lr_at(p, Length(10, 100)) for p in (0, 0.05, 0.1, 0.55, 1)]
        >>> [round(rate, 3) for rate in rates]
        [0.0, 0.05, 0.1, 0.05, 0.0]
        """
        warmup, schedule = read_warmup(self.warmup), read_schedule(self.schedule)
        rise = 0.0 if warmup is None else min(length.share(warmup.count, warmup.unit), 0.25)
        if warmup is not None and progress < rise:
            return self.lr * warmup.factor(progress / rise)
        if self.schedule == "linear to 0":  # from where the warm-up ends
            return self.lr * max(0.0, 1 - progress) / (1 - rise)
        own = self.length(length.iterations / length.epochs)
        return self.lr * schedule.factor(progress, own, errors)

    def to_dict(self) -> dict[str, Any]:
        """As a record keeps it and gives it back: JSON's types alone, sources included."""
        told = {**asdict(self), "sources": {f.name: self.source_of(f.name) for f in fields(self)}}
        return cast(dict[str, Any], json.loads(json.dumps(told)))

    def source_of(self, name: str) -> str:
        """Where a field's value comes from."""
        return self.sources.get(name, "")

    def _wrong(self, what: str, rule: str) -> UsageError:
        return UsageError(f"{self.name}: {what} must be {rule}, not {getattr(self, what)!r}.")


def _check_without_validation(recipe: Recipe) -> None:
    if recipe.schedule.startswith("plateau"):
        raise UsageError(f"{recipe.name}: a plateau schedule needs validation above 0.")
    if recipe.tested == "best":
        raise UsageError(
            f"{recipe.name}: the best epoch is found by a validation part: "
            "set validation above 0, or tested=last."
        )
