"""The loop: epochs over a data set, one event at a time. Nothing here prints or writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convarium.data import Dataset, Views, training_views
from convarium.data.counter import Stream, draw, order
from convarium.errors import UsageError
from convarium.machine import Plan
from convarium.recipes import Recipe
from convarium.recipes.schedule import Length
from convarium.train.events import EpochDone, Event, RunFinished, RunStarted, StepDone
from convarium.train.initialise import unit_variance
from convarium.train.step import make_optimizer, train_step
from convarium.train.tally import Tally

INIT_SAMPLES = 64


def fit(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    plan: Plan,
    epochs: int | None = None,
    minutes: float | None = None,
) -> Iterator[Event]:
    """Trains `model` in place, epoch by epoch, and yields what happens.

    Sample order, augmentation and dropout masks are pure functions of (seed, epoch or step,
    sample id): the same seed and plan give the same bits on the same machine. Under `minutes` the
    schedule follows the clock, so two runs differ.

    Args:
        model: with its initial values; left in train mode on the plan's device.
        dataset: its training split is used, and nothing of its test split.
        recipe: of `convarium.recipes`.
        seed: of the run.
        plan: threads, layout, precision.
        epochs: instead of the recipe's.
        minutes: of training, instead of epochs.

    Raises:
        UsageError: both epochs and minutes, or not above 0.
        DivergedError: the loss is no longer a number; names the step.
    """
    if epochs is not None and minutes is not None:
        raise UsageError("give epochs or minutes, not both.")
    if (epochs is not None and epochs < 1) or (minutes is not None and minutes <= 0):
        raise UsageError("epochs and minutes must be above 0.")
    run = _Run(model, dataset, recipe, seed, plan)
    return _events(run, None if minutes else epochs or recipe.epochs, minutes)


def batch_ranges(size: int, batch: int) -> list[tuple[int, int]]:
    """(first, last) of each batch of an epoch; a last batch of one sample joins the one before.

    Batch norm cannot train on one sample.

    >>> batch_ranges(9, 4), batch_ranges(10, 4)
    ([(0, 4), (4, 9)], [(0, 4), (4, 8), (8, 10)])
    """
    starts = list(range(0, size, batch))
    if len(starts) > 1 and size - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], size], strict=True))


def _events(run: _Run, epochs: int | None, minutes: float | None) -> Iterator[Event]:
    size = len(run.dataset.train)
    batches = batch_ranges(size, run.recipe.batch)
    steps = None if epochs is None else epochs * len(batches)
    yield RunStarted(size, len(batches), epochs, steps, minutes)
    run.start()
    step = epoch = images = 0
    length = run.recipe.length(len(batches))
    if epochs:
        length = Length(epochs, epochs * len(batches))

    def progress() -> float:
        return step / steps if steps else run.seconds / (60 * minutes) if minutes else 1.0

    while progress() < 1:
        epoch += 1
        begin = run.seconds
        tally = Tally(epoch, step + 1)
        ids = torch.from_numpy(order(run.seed, epoch, size))
        for first, last in batches:
            lr = run.recipe.lr_at(progress(), length)
            step += 1
            run.step(tally, ids[first:last], step, epoch, lr)
            ends = last == size or progress() >= 1
            yield StepDone(step, epoch, lr, tally.read(last=ends), run.seconds)
            if ends:
                break
        images += tally.samples
        loss, top1 = tally.means()
        yield EpochDone(epoch, loss, top1, run.seconds, tally.samples / (run.seconds - begin))
    yield RunFinished(epoch, step, run.seconds, images / run.seconds)


@dataclass(slots=True)
class _Run:
    """What one run's steps share, and the seconds they took."""

    model: nn.Module
    dataset: Dataset
    recipe: Recipe
    seed: int
    plan: Plan
    seconds: float = 0.0
    optimizer: torch.optim.SGD | None = None
    views: Views | None = None

    def start(self) -> None:
        """Places the network, draws its weights anew where the recipe says so."""
        with self._timed(Stream.INIT, 0):
            self.plan.place(self.model).train()
            self.views = training_views(self.dataset, self.recipe)
            if self.recipe.init == "unit_variance":
                ids = torch.from_numpy(order(self.seed, 0, len(self.dataset.train)))
                images = self.dataset.prepare(self.dataset.train.images(ids[:INIT_SAMPLES]))
                unit_variance(self.model, self.plan.move(images))
            self.optimizer = make_optimizer(self.model, self.recipe)

    def step(self, tally: Tally, ids: Tensor, step: int, epoch: int, lr: float) -> None:
        """One update on the samples `ids`."""
        assert self.optimizer is not None
        with self._timed(Stream.DROPOUT, step):
            images = self.plan.move(self._views(ids, epoch))
            labels = self.dataset.train.labels[ids].to(self.plan.device)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            loss, right = train_step(
                self.model, self.optimizer, images, labels, recipe=self.recipe, plan=self.plan
            )
            tally.add(loss, right, len(ids))

    def _views(self, ids: Tensor, epoch: int) -> Tensor:
        assert self.views is not None
        return self.views(ids, seed=self.seed, epoch=epoch)

    @contextmanager
    def _timed(self, stream: Stream, step: int) -> Iterator[None]:
        """The plan's settings and a generator seeded by the step; the caller's are put back."""
        begin = time.perf_counter()
        devices = [torch.cuda.current_device()] if self.plan.device == "cuda" else []
        with self.plan.settings(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(draw(self.seed, stream, step, [0])[0]) >> 1)
            yield
        self.seconds += time.perf_counter() - begin
