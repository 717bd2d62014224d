"""What the steps of one run share: network, optimiser, mean, and how a batch goes through them."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from convarium.data import Split
from convarium.data.counter import Stream, draw
from convarium.errors import ExhaustedError, is_out_of_memory
from convarium.evaluate import evaluate
from convarium.machine import Plan
from convarium.recipes import Recipe
from convarium.train.batch_norm import set_idle
from convarium.train.initialise import copy_equal, redraw, unit_variance
from convarium.train.levenberg import PATTERNS, Levenberg, gauss_newton_diagonal
from convarium.train.losses import loss_of
from convarium.train.masks import masks_by_sample
from convarium.train.optimizers import Polyak, make_optimizer
from convarium.train.samples import Samples
from convarium.train.step import add_gradient, update
from convarium.train.tally import Tally
from convarium.train.tensors import restore_run, run_tensors
from convarium.train.together import Alone, share_out
from convarium.train.watch import WATCH_EVERY, gradient_norms, stages_of
from convarium.train.world import LEAST, World

INIT_SAMPLES = 64


@dataclass(slots=True)
class Stepper:
    """Turns sample ids into updates of `model`. `seconds` is the time that this took."""

    model: nn.Module
    samples: Samples
    recipe: Recipe
    seed: int
    plan: Plan
    world: World
    micro_batch: int | None
    seconds: float = 0.0
    optimizer: torch.optim.Optimizer | None = None
    mean: Polyak | None = None
    best: dict[str, Tensor] | None = None  # state of the network to be tested, if not the last one
    stages: dict[str, list[nn.Parameter]] = field(default_factory=dict)
    together: Alone = field(init=False)  # how the processes share the network
    network: nn.Module = field(init=False)  # as the caller knows it

    def start(self, trained: Mapping[str, Tensor] | None) -> None:
        """Places the network, draws weights anew where the recipe says so, copies those trained."""
        with seeded(self, Stream.INIT, 0):
            # Drawn before the network is placed: the same values in every layout, on every device.
            redraw(self.model, self.recipe.init)
            self.plan.place(self.model).train()
            if self.recipe.init == "unit_variance":
                ids, images = self.samples.plain(INIT_SAMPLES)
                with masks_by_sample(self.model, self.seed, 0, ids):
                    unit_variance(self.model, images)
            if trained is not None:
                copy_equal(self.model, trained, self.recipe.init_convolutions)
            self.network = self.model
            if self.world.mode in ("shards", "towers") and self.world.first:
                self.network = copy.deepcopy(self.model)
            self.together = share_out(self.model, self.world, self.recipe)
            self.model = self.together.model
            self.optimizer = make_optimizer(self.model, self.recipe)
            if self.world.mode == "copies":  # elsewhere a process has parts of the gradients
                self.stages = stages_of(self.model)
            if self.recipe.average is not None:
                self.mean = Polyak(self.model, self.recipe.average)

    def begin_epoch(self, ids: Tensor, epoch: int) -> None:
        """Before the first step of an epoch: second derivatives, where the optimiser has them."""
        if not isinstance(self.optimizer, Levenberg):
            return
        with seeded(self, Stream.STEP, 0):
            ids = ids[:PATTERNS]
            images, labels = self.samples.of(ids, epoch)
            loss = partial(loss_of, recipe=self.recipe)
            found = gauss_newton_diagonal(self.model, images, labels, loss)
            self.optimizer.set_curvature(self.model, found)

    def step(
        self, tally: Tally, ids: Tensor, step: int, epoch: int, lr: float, *, then: Tensor | None
    ) -> bool:
        """One update on the global batch `ids`; True where the micro-batch had to be halved.

        Args:
            tally: of the epoch.
            ids: (N,) sample ids.
            step: number of the step.
            epoch: that it belongs to, from 1.
            lr: learning rate.
            then: ids of the epoch's next batch, if there is one.

        Raises:
            ExhaustedError: there is no memory even for the smallest micro-batch.
        """
        assert self.optimizer is not None
        halved = False
        with seeded(self, Stream.STEP, step):
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            while True:
                try:
                    loss, right = _gradient(self, ids, then, step, epoch)
                    break
                except RuntimeError as error:
                    most = halved_micro_batch(self.micro_batch, len(ids), error, self.world)
                    self.micro_batch, halved = most, True
            if step % WATCH_EVERY == 0 or tally.samples == 0:
                tally.norms.add(gradient_norms(self.stages))
            update(self.model, self.optimizer, self.recipe, self.together.clip)
            if self.mean is not None:
                self.mean.update(step)
            tally.add(loss, right, len(ids))
        return halved

    def finish(self) -> nn.Module:
        """The network remembered last, else the trained one or its mean; whole on rank 0."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
        elif self.mean is not None:
            self.mean.swap()
        return self.together.finished(self.network)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs, on rank 0; shares the network's memory if alone."""
        assert self.optimizer is not None
        tensors = run_tensors(self.model, self.optimizer, self.mean, self.best)
        return self.together.whole(tensors)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave rank 0, laid out as the plan has it."""
        assert self.optimizer is not None
        own = self.together.own(self.world.tensors_of_first(tensors))
        self.best = restore_run(own, self.model, self.optimizer, self.mean)


def _gradient(
    run: Stepper, ids: Tensor, then: Tensor | None, step: int, epoch: int
) -> tuple[Tensor, Tensor]:
    """Sets `.grad` to the global batch's mean gradient; (loss, right answers) of this rank."""
    assert run.optimizer is not None
    run.optimizer.zero_grad(set_to_none=True)
    counts = len(run.world.slice(ids)) > 0
    if run.world.size > 1:
        set_idle(run.model, not counts)
    parts = _parts(run, ids)
    told: list[tuple[Tensor, Tensor]] = []
    follows = [*parts[1:], None if then is None else _parts(run, then)[0]]
    for part, behind in zip(parts, follows, strict=True):
        images, labels = run.samples.of(part, epoch)
        run.samples.soon(behind, epoch)
        share = len(part) / len(ids) if counts else 0.0
        # Each part draws the same for its whole batch, such as which layers are passed over.
        seed_generators(run, seed_of(run.seed, Stream.STEP, step))
        masks = masks_by_sample(run.model, run.seed, step, part)
        with masks, run.together.part(len(told) + 1 == len(parts)):
            options: dict[str, Any] = {"recipe": run.recipe, "plan": run.plan}
            told.append(add_gradient(run.together.called, images, labels, share=share, **options))
    losses, rights = zip(*told, strict=True)
    return torch.stack(losses).sum(), torch.stack(rights).sum() * counts


def _parts(run: Stepper, ids: Tensor) -> list[Tensor]:
    """The micro-batches of this rank's part of a global batch."""
    own = run.world.slice(ids)
    # Without any it goes along, for the others wait for its gradients.
    own = own if len(own) else ids[:LEAST]
    cuts = parts_of(len(own), len(ids), run.micro_batch, run.world)
    return [own[first:last] for first, last in cuts]


def averaged(run: Stepper) -> AbstractContextManager[None]:
    """Within, the network is its mean where there is one."""
    return run.mean.in_place() if run.mean is not None else nullcontext()


def remember(run: Stepper) -> None:
    """Keeps the network as it is now, or its mean where there is one, to be the one tested."""
    with averaged(run):
        run.best = {key: t.detach().clone() for key, t in run.model.state_dict().items()}


def validation_error(run: Stepper, split: Split) -> float:
    """Share of wrong answers on `split`, of the mean network where there is one."""
    own = split.subset(run.world.slice(torch.arange(len(split))))
    right = torch.zeros((), dtype=torch.int64)
    prepare = run.samples.dataset.prepare
    with averaged(run), run.together.answering():
        if len(own):
            right += evaluate(run.model, own, prepare=prepare, plan=run.plan).top1_correct
    return 1 - int(run.world.total(right)) / len(split)


@contextmanager
def seeded(run: Stepper, stream: Stream, step: int) -> Iterator[None]:
    """The plan's settings and a generator seeded by the step; the caller's are put back. Timed."""
    begin = time.perf_counter()
    with run.plan.settings(), torch.random.fork_rng(devices=_gpus(run)):
        seed_generators(run, seed_of(run.seed, stream, step))
        yield
    run.seconds += time.perf_counter() - begin


def seed_generators(run: Stepper, number: int) -> None:
    """As `torch.manual_seed`, which takes a millisecond to note the seed for devices not in use."""
    torch.default_generator.manual_seed(number)
    for index in _gpus(run):
        torch.cuda.default_generators[index].manual_seed(number)


def _gpus(run: Stepper) -> list[int]:
    """The numbers of the GPUs that the run uses."""
    names = run.world.devices or (run.plan.device,)
    numbers = [torch.device(name).index for name in names if name.startswith("cuda")]
    return sorted({torch.cuda.current_device() if n is None else n for n in numbers})


def seed_of(seed: int, stream: Stream, step: int) -> int:
    """What seeds the generator of a step: the same on every process and after every resume."""
    return int(draw(seed, stream, step, [0])[0]) >> 1


def parts_of(own: int, batch: int, most: int | None, world: World) -> list[tuple[int, int]]:
    """(first, last) of each micro-batch of this rank's samples; as many on every rank.

    Args:
        own: samples of this rank.
        batch: samples of all.
        most: the micro-batch; the whole batch when None.
        world: who trains.
    """
    most = most or batch
    if world.size == 1 or world.mode == "towers":
        return batch_ranges(own, most)
    active = max(1, min(world.size, batch // LEAST))
    count = min(ceil(ceil(batch / active) / most), batch // active // LEAST) or 1
    edges = [own * place // count for place in range(count + 1)]
    return list(pairwise(edges))


def halved_micro_batch(now: int | None, batch: int, error: RuntimeError, world: World) -> int:
    """Half of what was taken at once when memory ran out; any other error is raised again.

    Batch norm's running values have then seen a part of this batch twice.

    Raises:
        ExhaustedError: it cannot be halved any more, or other processes are past this point.
    """
    if not is_out_of_memory(error):
        raise error
    if world.size > 1:
        raise ExhaustedError(
            f"out of memory on rank {world.rank}. Take the batch in parts: "
            "--micro-batch M, at most M pictures at a time on each process."
        ) from error
    now = min(now or batch, batch)
    if now <= LEAST:
        raise ExhaustedError(
            f"out of memory with {now} pictures at a time. Use a smaller network or picture."
        ) from error
    return max(LEAST, (now + 1) // 2)


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
