"""What the steps of one run share: network, optimiser, mean, and how a batch goes through them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from convarium.data import Split
from convarium.data.counter import Stream, draw
from convarium.errors import ExhaustedError
from convarium.evaluate import evaluate
from convarium.machine import Plan
from convarium.recipes import Recipe
from convarium.train.initialise import copy_equal, redraw, unit_variance
from convarium.train.levenberg import PATTERNS, Levenberg, gauss_newton_diagonal
from convarium.train.losses import loss_of
from convarium.train.masks import masks_by_sample
from convarium.train.optimizers import Polyak, make_optimizer
from convarium.train.step import add_gradient, update
from convarium.train.tally import Tally
from convarium.train.tensors import restore_run, run_tensors
from convarium.train.views import Views
from convarium.train.watch import WATCH_EVERY, gradient_norms, stages_of
from convarium.train.world import World

INIT_SAMPLES = 64
LEAST_MICRO_BATCH = 2  # batch norm cannot train on one sample
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


@dataclass(slots=True)
class Stepper:
    """Turns sample ids into updates of `model`. `seconds` is the time that this took."""

    model: nn.Module
    views: Views
    recipe: Recipe
    seed: int
    plan: Plan
    world: World
    micro_batch: int | None
    seconds: float = 0.0
    optimizer: torch.optim.Optimizer | None = None
    mean: Polyak | None = None
    stages: dict[str, list[nn.Parameter]] = field(default_factory=dict)

    def start(self, trained: Mapping[str, Tensor] | None) -> None:
        """Places the network, draws weights anew where the recipe says so, copies those trained."""
        with self._timed(Stream.INIT, 0):
            self.plan.place(self.model).train()
            if self.recipe.init == "unit_variance":
                unit_variance(self.model, self.views.plain(INIT_SAMPLES))
            elif self.recipe.init != "paper":
                redraw(self.model, self.recipe.init)
            if trained is not None:
                copy_equal(self.model, trained)
            self.optimizer = make_optimizer(self.model, self.recipe)
            self.stages = stages_of(self.model)
            if self.recipe.average is not None:
                self.mean = Polyak(self.model, self.recipe.average)

    def begin_epoch(self, ids: Tensor, epoch: int) -> None:
        """Before the first step of an epoch: second derivatives, where the optimiser has them."""
        if not isinstance(self.optimizer, Levenberg):
            return
        with self._timed(Stream.STEP, 0):
            ids = ids[:PATTERNS]
            images, labels = self.views.of(ids, epoch)
            loss = partial(loss_of, recipe=self.recipe)
            found = gauss_newton_diagonal(self.model, images, labels, loss)
            self.optimizer.set_curvature(self.model, found)

    def step(self, tally: Tally, ids: Tensor, step: int, epoch: int, lr: float) -> bool:
        """One update on the global batch `ids`; True where the micro-batch had to be halved.

        Raises:
            ExhaustedError: there is no memory even for the smallest micro-batch.
        """
        assert self.optimizer is not None
        halved = False
        with self._timed(Stream.STEP, step):
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            while True:
                try:
                    loss, right = self._gradient(ids, step, epoch)
                    break
                except RuntimeError as error:
                    self.micro_batch = halved_micro_batch(self.micro_batch, len(ids), error)
                    halved = True
            if step % WATCH_EVERY == 0 or tally.samples == 0:
                tally.norms.add(gradient_norms(self.stages))
            update(self.model, self.optimizer, self.recipe)
            if self.mean is not None:
                self.mean.update(step)
            tally.add(loss, right, len(ids))
        return halved

    def error(self, split: Split) -> float:
        """Share of wrong answers on `split`, of the mean network where there is one."""
        with self.mean.in_place() if self.mean is not None else nullcontext():
            told = evaluate(self.model, split, prepare=self.views.dataset.prepare, plan=self.plan)
        return 1 - told.top1_correct / told.total

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs; shares the network's memory."""
        assert self.optimizer is not None
        return run_tensors(self.model, self.optimizer, self.mean)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave, laid out as the plan has it."""
        assert self.optimizer is not None
        restore_run(tensors, self.model, self.optimizer, self.mean)

    def _gradient(self, ids: Tensor, step: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Sets `.grad` to the global batch's mean gradient; (loss, right answers) of this rank."""
        assert self.optimizer is not None
        self.optimizer.zero_grad(set_to_none=True)
        own = self.world.slice(ids)
        told = []
        for first, last in batch_ranges(len(own), self.micro_batch or len(own)):
            part = own[first:last]
            images, labels = self.views.of(part, epoch)
            share = len(part) / len(ids)
            # Each part draws the same for its whole batch, such as which layers are passed over.
            torch.manual_seed(self._word(Stream.STEP, step))
            with masks_by_sample(self.model, self.seed, step, part):
                told.append(
                    add_gradient(
                        self.model, images, labels, recipe=self.recipe, plan=self.plan, share=share
                    )
                )
        losses, rights = zip(*told, strict=True)
        return torch.stack(losses).sum(), torch.stack(rights).sum()

    def _word(self, stream: Stream, step: int) -> int:
        return int(draw(self.seed, stream, step, [0])[0]) >> 1

    @contextmanager
    def _timed(self, stream: Stream, step: int) -> Iterator[None]:
        """The plan's settings and a generator seeded by the step; the caller's are put back."""
        begin = time.perf_counter()
        devices = [torch.cuda.current_device()] if self.plan.device == "cuda" else []
        with self.plan.settings(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(self._word(stream, step))
            yield
        self.seconds += time.perf_counter() - begin


def halved_micro_batch(now: int | None, batch: int, error: RuntimeError) -> int:
    """Half of what was taken at once when memory ran out; any other error is raised again.

    Batch norm's running values have then seen a part of this batch twice.

    Raises:
        ExhaustedError: it cannot be halved any more.
    """
    if not any(words in str(error) for words in _NO_MEMORY):
        raise error
    now = min(now or batch, batch)
    if now <= LEAST_MICRO_BATCH:
        raise ExhaustedError(
            f"out of memory with {now} pictures at a time. Use a smaller network or picture."
        ) from error
    return max(LEAST_MICRO_BATCH, (now + 1) // 2)


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
