"""What the network is shown of the training pictures: each epoch's views, scaled and placed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

from convarium.data import Dataset, Split, Views, training_views
from convarium.data.counter import order
from convarium.machine import Plan, sent
from convarium.recipes import Recipe


@dataclass(slots=True)
class Samples:
    """The views of a training split under a recipe: pure functions of (seed, epoch, sample id).

    While a GPU computes, a thread of this process makes the views that come next.
    """

    dataset: Dataset
    split: Split  # what is trained on: all of the data set's training split, or a part
    recipe: Recipe
    seed: int
    plan: Plan
    views: Views = field(init=False)
    _maker: ThreadPoolExecutor | None = field(init=False, default=None)
    _next: tuple[Tensor, int, Future[Tensor]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.views = training_views(self.dataset, self.recipe, self.split)
        if self.plan.kind != "cpu":  # there the cores have enough to do
            self._maker = ThreadPoolExecutor(1, "views")

    def of(self, ids: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Views (N, C, side, side) float32 and labels (N,) int64 of samples, on the device."""
        made, self._next = self._next, None
        if made is not None and made[1] == epoch and torch.equal(made[0], ids):
            images = made[2].result()
        else:
            images = self._views(ids, epoch)
        return self.plan.move(images), sent(self.split.labels[ids], self.plan.device)

    def soon(self, ids: Tensor | None, epoch: int) -> None:
        """Begins with the views of the samples that `of` is asked for next."""
        if self._maker is not None and ids is not None:
            self._next = ids, epoch, self._maker.submit(self._views, ids, epoch)

    def _views(self, ids: Tensor, epoch: int) -> Tensor:
        """In memory that a GPU can fetch from by itself, where there is one."""
        images = self.views(ids, seed=self.seed, epoch=epoch)
        return images if self._maker is None else images.pin_memory()

    def plain(self, count: int) -> tuple[Tensor, Tensor]:
        """(count,) ids of some pictures and these as at test: (count, C, side, side), placed."""
        ids = torch.from_numpy(order(self.seed, 0, len(self.split)))[:count]
        return ids, self.plan.move(self.dataset.prepare(self.split.images(ids)))

    def names(self, ids: Tensor) -> list[str]:
        """Of the pictures."""
        return [self.split.names[index] for index in ids.tolist()]
