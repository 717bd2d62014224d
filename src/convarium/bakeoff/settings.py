"""What is raced: the settings of a race, and the default line-ups. No torch here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convarium import __version__, catalog
from convarium.errors import UsageError
from convarium.files import exact, expanded

if TYPE_CHECKING:
    from convarium.data import Dataset

LINE_UPS: dict[str, tuple[str, ...]] = {
    "small": (
        "lenet5",
        "nin_cifar10",
        "vgg_a_32px",
        "googlenet_32px",
        "plain20_cifar",
        "resnet20_cifar",
        "densenet_40_12_cifar",
        "squeezenet_32px",
        "mobilenet_v1_050_32px",
    ),
    "photographs": ("squeezenet1_1", "mobilenet_v1_050_160", "resnet18_b", "googlenet"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """One race. Without epochs and minutes each network trains by its own short recipe.

    `data` is a data set's name or a folder; `models` is None for the default line-up of the kind
    of data; `minutes` are of training, for each network. `precision`, `layout` and `threads`
    override the speed probe, `device` the choice of a GPU where there is one. `fresh` trains anew
    what an earlier race left in `out`. `skip_bad` leaves out pictures that cannot be read.
    `recipe` and `overrides` are as for `convarium.recipes.find_recipe`.
    """

    data: str
    out: Path
    models: tuple[str, ...] | None = None
    epochs: int | None = None
    minutes: float | None = None
    seed: int = 0
    precision: str | None = None
    layout: str | None = None
    threads: int | None = None
    device: str | None = None
    fresh: bool = False
    skip_bad: bool = False
    command: str = ""  # repeats the race
    recipe: str = "short"
    overrides: tuple[str, ...] = ()
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.minutes is not None:
            raise UsageError("give --epochs or --minutes, not both.")
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"--epochs must be at least 1, not {self.epochs}.")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise UsageError(f"--minutes must be above 0, not {self.minutes:g}.")
        if not 0 <= self.seed < 2**63:  # what generators and the records hold
            raise UsageError(f"--seed must be from 0 to {2**63 - 1}, not {self.seed}.")

    def told(self, dataset: Dataset) -> dict[str, Any]:
        """What the start of a run's log keeps, so that `rerun` can do the same again."""
        place = self.data if self.data == "digits" else exact(os.path.realpath(expanded(self.data)))
        return {
            "data": dataset.name,
            "seed": self.seed,
            "command": self.command,
            "data_place": place,
            "data_fingerprint": dataset.fingerprint,
            "minutes": self.minutes,
            "skip_bad": self.skip_bad,
            "convarium": __version__,
        }

    def line_up(self, kind: str) -> list[str]:
        """Catalog names of the networks to race, each once.

        Args:
            kind: of the data, "small" or "photographs".

        Raises:
            UsageError: a name that does not exist, or a network that does not classify.
        """
        names = [catalog.find(name).name for name in self.models or LINE_UPS[kind]]
        for name in names:
            if catalog.find(name).task != "classification":
                raise UsageError(f"{name} does not classify: it cannot race.")
        return list(dict.fromkeys(names))
