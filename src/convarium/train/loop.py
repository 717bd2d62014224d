"""The loop: epochs over a data set, one event at a time, from wherever a checkpoint left it.

Nothing here prints. Position in a run is (epoch, batch, step); everything that chance decides is
a pure function of that, the seed and the sample id, so no generator's state is ever kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from itertools import zip_longest

import torch
from torch import Tensor, nn

from convarium.data import Dataset, Split, carve
from convarium.data.counter import order
from convarium.errors import InputError, UsageError
from convarium.files import printable
from convarium.machine import Plan, freed_memory_kept
from convarium.recipes import Recipe
from convarium.recipes.schedule import Length
from convarium.train.checkpoint import Checkpoint, Keeper, newest
from convarium.train.diagnose import layer_outputs, where_lost
from convarium.train.events import (
    CheckpointSaved,
    EpochDone,
    Event,
    MicroBatchHalved,
    Resumed,
    RunFinished,
    RunStarted,
    StepDone,
)
from convarium.train.position import Position, Span, exactness, pictures_of
from convarium.train.samples import Samples
from convarium.train.stepper import Stepper, batch_ranges, remember, validation_error
from convarium.train.tally import DivergedError, Tally
from convarium.train.world import World


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
    """Trains `model` in place, epoch by epoch, and yields what happens; writes nothing.

    Sample order, augmentation and dropout masks are pure functions of (seed, epoch or step,
    sample id): the same seed and plan give the same bits on the same machine. Under `minutes` the
    schedule follows the clock, so two runs differ.

    Args:
        model: with its initial values; left in train mode on the plan's device.
        dataset: its training split is used, and nothing of its test split.
        recipe: of `convarium.recipes`.
        seed: of the run.
        plan: threads, layout, precision, micro-batch.
        epochs: instead of the recipe's.
        minutes: of training, instead of epochs.

    Raises:
        UsageError: both epochs and minutes, or not above 0.
        DivergedError: the loss is no longer a number; names the step.
    """
    return Training(model, dataset, recipe, seed, plan, epochs, minutes).events()


@dataclass
class Training:
    """One run, as `fit` has it, that may keep checkpoints and go on from one."""

    model: nn.Module
    dataset: Dataset
    recipe: Recipe
    seed: int
    plan: Plan
    epochs: int | None = None
    minutes: float | None = None
    trained: Mapping[str, Tensor] | None = None  # another network's tensors, to start from
    keeper: Keeper | None = None
    resume: Checkpoint | None = None
    world: World = field(default_factory=World)
    stop: int = field(init=False, default=0)  # a signal that came to any of the processes
    held: Split | None = field(init=False, default=None)  # the recipe's validation part

    def __post_init__(self) -> None:
        _check_limits(self.epochs, self.minutes)
        split = self.dataset.train
        if self.recipe.validation:
            split, self.held = carve(split, share=self.recipe.validation)
        self.batches = batch_ranges(len(split), self.recipe.batch)
        length = self.recipe.length(len(self.batches))
        if self.epochs:
            length = Length(self.epochs, self.epochs * len(self.batches))
        self.span = Span(length, self.minutes)
        self.at = _position(self.resume, self.plan, len(self.batches))
        samples = Samples(self.dataset, split, self.recipe, self.seed, self.plan)
        shared = (samples, self.recipe, self.seed, self.plan, self.world)
        self.run = Stepper(self.model, *shared, self.at.micro_batch, self.at.seconds)

    def events(self) -> Iterator[Event]:
        """Trains, and yields what happens.

        Raises:
            DivergedError: the loss is no longer a number; names step, batch and layer.
            StoppedError, KeyboardInterrupt: a signal came; the checkpoint is written.
            ExhaustedError: memory or disk ran out; the checkpoint before is kept.
        """
        size, steps = len(self.run.samples.split), self.span.steps
        epochs = None if self.minutes else self.epochs or self.recipe.epochs
        yield RunStarted(size, len(self.batches), epochs, steps, self.minutes)
        holding = self.keeper.stop.holding() if self.keeper else nullcontext()
        with freed_memory_kept() if self.plan.kind == "cpu" else nullcontext(), holding:
            yield from self._begin()
            while self.progress < 1:
                yield from self._epoch()
        if self.keeper is not None:
            self.keeper.wait()
        self.model = self.run.finish()
        at = self.at
        rate = at.images / max(at.seconds, 1e-9)
        best = at.best_epoch if self.recipe.tested == "best" else None
        yield RunFinished(at.epoch, at.step, at.seconds, rate, best)

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return self.span.share(self.at.step, self.at.seconds)

    def _begin(self) -> Iterator[Event]:
        self.run.start(self.trained)
        self.at.seconds = _seconds(self)
        if self.resume is not None:
            self.run.restore(self.resume.tensors)
            yield _resumed(self, self.resume)
        if self.keeper is not None:
            self.keeper.begin(self.at.step)

    def _epoch(self) -> Iterator[Event]:
        """One epoch, or what is left of it."""
        at, run = self.at, self.run
        epoch, before, images = at.epoch + 1, at.seconds, at.images
        tally = Tally(epoch, at.step + 1, self.world, list(run.stages))
        tally.restore(at.tally)
        ids = torch.from_numpy(order(self.seed, epoch, len(run.samples.split)))
        if at.batch == 0:
            run.begin_epoch(ids, epoch)
        batches = [ids[first:last] for first, last in self.batches[at.batch :]]
        for batch, then in zip_longest(batches, batches[1:]):
            lr = self.recipe.lr_at(self.progress, self.span.length, at.errors)
            at.step, at.batch, at.images = at.step + 1, at.batch + 1, at.images + len(batch)
            halved = run.step(tally, batch, at.step, epoch, lr, then=then)
            at.seconds = _seconds(self)
            if halved:
                at.micro_batch = run.micro_batch
                yield MicroBatchHalved(at.step, run.micro_batch or 0)
            is_last = then is None or self.progress >= 1
            yield _step_done(self, tally, lr, last=is_last)
            if is_last:
                break
            if _due(self):
                yield from self._keep(tally)
        loss, top1 = tally.means()
        rate = (at.images - images) / max(at.seconds - before, 1e-9)
        told = (rate, _validate(self), lr, tally.norms.means())
        at.curve.append(EpochDone(epoch, loss, top1, at.seconds, *told))
        at.epoch, at.batch = epoch, 0
        yield at.curve[-1]
        _due(self)
        yield from self._keep(None)

    def _keep(self, tally: Tally | None) -> Iterator[Event]:
        """A checkpoint; then out, where a signal has come. `tally` is None between two epochs."""
        keeper, at = self.keeper, self.at
        if keeper is None:
            return
        if tally is not None:
            _read(self, tally, last=True)
        at.tally = None if tally is None else tally.kept()
        tensors = self.run.tensors()
        kept = self.world.of_first(lambda: keeper.save(asdict(at), tensors))
        if kept == at.step:
            yield CheckpointSaved(at.step)
        if self.stop:
            keeper.stop.asked = self.stop
            keeper.wait()
            keeper.stop.leave(_kept_words(at.step, kept))


def _kept_words(step: int, kept: int) -> str:
    """What a stop behind `step` leaves, where the newest checkpoint is `kept`."""
    if kept == step:
        return f"Kept behind step {step}; the same command continues."
    again = f"continues behind step {kept}" if kept else "starts anew"
    return f"Numbers behind step {step} are not finite and not kept; the same command {again}."


def _position(resume: Checkpoint | None, plan: Plan, batches: int) -> Position:
    """Where a run of so many batches an epoch begins, or goes on."""
    if resume is None:
        return Position(micro_batch=plan.micro_batch)
    at = Position.read(resume.about["at"], batches)
    if resume.about["exactness"].get("micro_batch") != str(plan.micro_batch):
        at.micro_batch = plan.micro_batch  # asked for anew, as with less memory
    return at


def _check_limits(epochs: int | None, minutes: float | None) -> None:
    if epochs is not None and minutes is not None:
        raise UsageError("give epochs or minutes, not both.")
    if any(limit is not None and limit <= 0 for limit in (epochs, minutes)):
        raise UsageError("epochs and minutes must be above 0.")


def _seconds(training: Training) -> float:
    """Of training so far; where they set the run's length, rank 0's."""
    seconds = training.run.seconds
    return training.world.of_first(lambda: seconds) if training.minutes else seconds


def _due(training: Training) -> bool:
    """True when it is time for a checkpoint; notes a signal to any process, on all of them."""
    keeper, world = training.keeper, training.world
    if keeper is None:
        return False
    own = keeper.due(training.at.step) and world.first
    due, training.stop = world.most([own, keeper.stop.asked or 0])
    return bool(due or training.stop)


def _validate(training: Training) -> float | None:
    """Error on the validation part, noted; None where there is none."""
    at = training.at
    if training.held is None:
        return None
    error = validation_error(training.run, training.held)
    if error < min(at.errors, default=2.0):
        at.best_step = at.step
        if training.recipe.tested == "best":
            remember(training.run)
    at.errors.append(error)
    return error


def _step_done(training: Training, tally: Tally, lr: float, *, last: bool) -> StepDone:
    """The event of the step just made."""
    loss, at = _read(training, tally, last=last), training.at
    norms = None if loss is None else tally.norms.latest
    return StepDone(at.step, tally.epoch, lr, loss, at.seconds, norms)


def _read(training: Training, tally: Tally, *, last: bool) -> float | None:
    """The tally's loss; one that is no number is looked into. A GPU's work is waited for here."""
    begin = time.perf_counter()
    try:
        loss = tally.read(last=last)
    except DivergedError as error:
        raise _diagnosed(training, error) from None
    training.run.seconds += time.perf_counter() - begin
    training.at.seconds = _seconds(training)
    return loss


def _diagnosed(training: Training, error: DivergedError) -> DivergedError:
    """With the batch, and what each layer gives on it by the last checkpoint's weights."""
    run, at = training.run, training.at
    ids = torch.from_numpy(order(training.seed, error.epoch, len(run.samples.split)))
    first, last = training.batches[at.batch - 1 - (at.step - error.step)]
    ids = ids[first:last]
    if training.keeper is not None:
        training.keeper.wait()
        world = training.world
        kept = _last_sound(training.keeper) if world.first else None
        if world.of_first(lambda: kept is not None):
            run.restore(kept.tensors if kept is not None else {})
    images, _ = run.samples.of(ids, error.epoch)
    outputs = layer_outputs(run.model, images, training.plan)
    names = [printable(name) for name in run.samples.names(ids)]
    told = DivergedError(error.step, error.epoch, error.loss, where_lost(outputs, names))
    told.ids, told.names, told.layers = ids.tolist(), names, outputs
    return told


def _last_sound(keeper: Keeper) -> Checkpoint | None:
    """The newest checkpoint, if it can be read: what else is wrong would hide why the run ends."""
    with suppress(InputError):
        return newest(keeper.folder, lambda words: None, clear=False)
    return None


def _resumed(training: Training, resume: Checkpoint) -> Resumed:
    """What is told of a resume; notes in the position whether it is exact."""
    at, then = training.at, resume.about["exactness"]
    now = exactness(training.plan, training.world)
    if "pictures" in then:
        now |= pictures_of(training.dataset)
    changed = {k: (str(then.get(k)), v) for k, v in now.items() if then.get(k) != v}
    at.exact = at.exact and not changed
    return Resumed(at.step, tuple(at.curve), at.seconds, at.exact, changed)
