"""What the network is shown of the training pictures: each epoch's views, scaled and placed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convarium.data import Dataset, Split, augment, centre_crop
from convarium.data.counter import order
from convarium.machine import Plan
from convarium.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Views:
    """The views of a training split under a recipe: pure functions of (seed, epoch, sample id)."""

    dataset: Dataset
    split: Split  # what is trained on: all of the data set's training split, or a part
    recipe: Recipe
    seed: int
    plan: Plan

    def of(self, ids: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Views (N, C, side, side) float32 and labels (N,) int64 of samples, on the device."""
        labels = self.split.labels[ids].to(self.plan.device)
        return self.plan.move(self._views(ids, epoch)), labels

    def plain(self, count: int) -> Tensor:
        """(count, C, side, side) float32 on the device: some pictures as at test."""
        ids = torch.from_numpy(order(self.seed, 0, len(self.split)))[:count]
        return self.plan.move(self.dataset.prepare(self.split.images(ids)))

    def names(self, ids: Tensor) -> list[str]:
        """Of the pictures."""
        return [self.split.names[index] for index in ids.tolist()]

    def _views(self, ids: Tensor, epoch: int) -> Tensor:
        images = self.split.images(ids)
        if not self.recipe.crop:
            images = centre_crop(images, self.dataset.side)
        views = augment(
            images,
            ids,
            side=self.dataset.side,
            shift_px=self.recipe.shift_px,
            mirror=self.recipe.mirror,
            seed=self.seed,
            epoch=epoch,
        )
        return self.dataset.scale(views)
