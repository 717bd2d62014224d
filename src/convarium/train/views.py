"""What the network is shown of the training pictures: each epoch's views, scaled and placed."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from convarium.data import Dataset, Split, training_views
from convarium.data import Views as TrainingViews
from convarium.data.counter import order
from convarium.machine import Plan
from convarium.recipes import Recipe


@dataclass(slots=True)
class Views:
    """The views of a training split under a recipe: pure functions of (seed, epoch, sample id)."""

    dataset: Dataset
    split: Split  # what is trained on: all of the data set's training split, or a part
    recipe: Recipe
    seed: int
    plan: Plan
    drawn: TrainingViews = field(init=False)

    def __post_init__(self) -> None:
        self.drawn = training_views(self.dataset, self.recipe, self.split)

    def of(self, ids: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Views (N, C, side, side) float32 and labels (N,) int64 of samples, on the device."""
        labels = self.split.labels[ids].to(self.plan.device)
        return self.plan.move(self.drawn(ids, seed=self.seed, epoch=epoch)), labels

    def plain(self, count: int) -> Tensor:
        """(count, C, side, side) float32 on the device: some pictures as at test."""
        ids = torch.from_numpy(order(self.seed, 0, len(self.split)))[:count]
        return self.plan.move(self.dataset.prepare(self.split.images(ids)))

    def names(self, ids: Tensor) -> list[str]:
        """Of the pictures."""
        return [self.split.names[index] for index in ids.tolist()]
