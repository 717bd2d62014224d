"""A recipe: every number that training needs beside the network and the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from convarium.errors import UsageError

INITS = ("paper", "unit_variance")


@dataclass(frozen=True, slots=True)
class Recipe:
    """SGD with momentum, a warm-up, a schedule, and a little augmentation.

    `sources` says of each field where its value comes from, or "unstated: our choice because ...".
    """

    name: str
    epochs: int
    lr: float  # highest, behind the warm-up
    batch: int = 32
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4  # on every parameter
    warmup: float = 1.0  # epochs of linear rise from 0; at most a quarter of the run
    schedule: str = "linear to 0"
    shift_px: int = 1  # farthest shift each way, in pixels
    mirror: bool = False
    crop: bool = False  # a random window of the decoded picture instead of its centre
    clip: float | None = None  # largest norm of the gradient of all parameters together
    init: str = "paper"  # or "unit_variance": data-dependent, each map has mean 0, variance 1
    aux_weight: float = 0.3  # of each auxiliary head's loss
    sources: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def __post_init__(self) -> None:
        if self.init not in INITS:
            raise UsageError(f"{self.name}: init must be {' or '.join(INITS)}, not {self.init!r}.")
        if self.schedule != "linear to 0":
            raise UsageError(f"{self.name}: schedule must be 'linear to 0', not {self.schedule!r}.")
        for what in ("epochs", "batch"):
            if getattr(self, what) < 1:
                raise UsageError(f"{self.name}: {what} must be at least 1.")

    def lr_at(self, progress: float, epochs: float) -> float:
        """Learning rate when `progress` (0 to 1) of a run of `epochs` epochs is done.

        >>> recipe = Recipe("r", epochs=10, lr=0.1, warmup=1)
        >>> [round(recipe.lr_at(p, 10), 3) for p in (0, 0.05, 0.1, 0.55, 1)]
        [0.0, 0.05, 0.1, 0.05, 0.0]
        """
        rise = min(self.warmup / epochs, 0.25)
        if progress < rise:
            return self.lr * progress / rise
        return self.lr * max(0.0, 1 - progress) / (1 - rise)

    def to_dict(self) -> dict[str, Any]:
        """As a record keeps it, sources included."""
        return {**asdict(self), "sources": {f.name: self.source_of(f.name) for f in fields(self)}}

    def source_of(self, name: str) -> str:
        """Where a field's value comes from."""
        return self.sources.get(name, "")
