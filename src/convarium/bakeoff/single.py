"""One network on one data set: the smallest race, without timing and report, with checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from convarium.bakeoff.entrant import Entrant, entrant, native_side
from convarium.bakeoff.events import NetworkDone, NetworkStarted, RaceEvent, RaceStarted
from convarium.bakeoff.folder import CHECKPOINTS, LOG, WEIGHTS, alone_in, is_sound, tidy
from convarium.bakeoff.race import check_plan, follow, plan_words, race_of, say_skipped, start_of
from convarium.bakeoff.resume import plan_of, resume_for, tensors_to_start_from
from convarium.bakeoff.settings import Settings
from convarium.bakeoff.trained import find_trained
from convarium.data import load_dataset
from convarium.errors import StoppedError, UsageError, counted
from convarium.files import shown
from convarium.machine import describe_machine
from convarium.recipes import told as differing
from convarium.recipes.compare import length_words
from convarium.records import Race, Result, RunLog, read_events
from convarium.records.codec import result_from_dict, result_to_dict
from convarium.records.events import now
from convarium.train import (
    Checkpoint,
    DivergedError,
    Event,
    Keeper,
    MicroBatchHalved,
    Resumed,
    RunFinished,
    Training,
    World,
)
from convarium.train import checkpoint as checkpoints
from convarium.train.position import exactness, pictures_of, running
from convarium.train.signals import Stop, listening
from convarium.train.tensorboard import Board
from convarium.train.world import check_same

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a single training keeps, and from where it goes on.

    `resume` is "auto" (from the folder's newest checkpoint), "never", or a checkpoint's place.
    `init_from` is a run, folder or weights file whose layers of equal names are copied.
    `board` is a folder for TensorBoard's log.
    """

    resume: str = "auto"
    steps: int = checkpoints.STEPS
    seconds: float = checkpoints.SECONDS
    init_from: str | None = None
    board: Path | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.seconds > 0:
            raise UsageError("--checkpoint-steps must be at least 1, --checkpoint-seconds above 0.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A training's result, its weights, and whether it went on from a checkpoint.

    `resumed_from_step` is 0 where it ran from the start. `exact` is False where it was resumed
    with other threads, versions or the like: the bits are then not those of an undisturbed run.
    """

    result: Result
    weights: Path
    resumed_from_step: int = 0
    exact: bool = True
    race: Race | None = None  # the run as a race of one, for its page


def train_one(
    settings: Settings,
    keeping: Keeping | None = None,
    *,
    listen: Callable[[RaceEvent], None],
    tell: Tell,
    world: World | None = None,
) -> Outcome | None:
    """Trains and evaluates the one network of `settings`; a finished run is not repeated.

    With a `world` of several processes each calls this; rank 0 alone writes, tells and gets the
    outcome, the others None.

    Raises:
        UsageError: not exactly one network, one that does not classify, another run's folder, or
            processes that differ in configuration or files.
        InputError: unusable data, folder or checkpoint.
        DivergedError: the loss is no longer a number.
        StoppedError: a signal came; a checkpoint is kept.
    """
    if len(settings.models or ()) != 1:
        raise UsageError("train takes one network; bakeoff takes several.")
    name = settings.line_up("small")[0]
    check_plan(settings)
    world = world or World()
    s = _laid_out(settings, world)
    if not world.first:
        listen, tell = _unheard, _unheard
    with ExitStack() as stack, listening() as stop:
        for cut_off in world.of_first(lambda: _entered(stack, s.out)):
            tell(cut_off)
        started = now()
        dataset = load_dataset(s.data, side=native_side(name), seed=s.seed, skip_bad=s.skip_bad)
        say_skipped(dataset, tell)
        keeping = keeping or Keeping()
        one = replace(entrant(name, dataset, s), begins_with=_digest_of(keeping.init_from))
        check_same(world, {"configuration": one.config, **running()})
        single = _Single(one, keeping, stop, listen, tell, world)
        done = world.of_first(single.finished)
        if not world.first:
            if done is None:
                single.follow_first()
            return None
        outcome = done or single.run()
        machine = single.machine or describe_machine()
        return replace(outcome, race=_as_race(one, outcome.result, machine, started))


def _digest_of(place: str | None) -> str | None:
    """Of the weights that a training starts from; None where it draws its own.

    Raises:
        InputError: nothing trained lies there.
    """
    return None if place is None else checkpoints.sha256_of(find_trained(place).weights)


def _laid_out(settings: Settings, world: World) -> Settings:
    """With the layout of weights that can be split over the processes, where they are.

    Raises:
        UsageError: another layout is asked for.
    """
    if world.mode != "shards":
        return settings
    if settings.layout == "channels_last":
        raise UsageError("--shard splits contiguous weights alone; leave --layout out.")
    return replace(settings, layout="contiguous")


def _entered(stack: ExitStack, out: Path) -> list[str]:
    """The folder, for this run alone as long as the stack is open; what was cut off there."""
    stack.enter_context(alone_in(out))
    return tidy(out)


def _unheard(_: object) -> None:
    """For the processes that do not tell."""


@dataclass
class _Single:
    one: Entrant
    keeping: Keeping
    stop: Stop
    listen: Callable[[RaceEvent], None]
    tell: Tell
    world: World
    resumed_from_step: int = 0
    exact: bool = True
    machine: dict[str, Any] | None = None  # as the log has it; None before the log is opened

    @property
    def _out(self) -> Path:
        return self.one.settings.out

    def finished(self) -> Outcome | None:
        """What an earlier call finished here; other work in the folder is refused.

        Raises:
            UsageError: the folder holds a run of another configuration.
        """
        if self.keeping.resume != "auto":
            return None
        weights = self._out / WEIGHTS
        done = [e for e in read_events(self._out / LOG) if e["event"] == "result"]
        kept = checkpoints.manifests_config(self._out / CHECKPOINTS)
        last = done[-1] if done and is_sound(weights) else {}
        theirs = kept or last.get("config")
        if theirs is not None and theirs != self.one.config:
            raise UsageError(
                f"{shown(self._out)} holds a run that differs in {_differing(self.one)}. "
                "Choose another --out, or start over with --resume never."
            )
        if last.get("config") != self.one.config:
            return None
        try:
            result = result_from_dict(last["result"])
        except (KeyError, TypeError, ValueError):
            return None  # of another version
        self.tell(f"finished before, in {shown(self._out)}; --resume never trains anew.")
        return Outcome(result, weights, int(last.get("steps", 0)), last.get("exact") is not False)

    def run(self) -> Outcome:
        """Trains from the start or a checkpoint, with a record."""
        one, settings, dataset = self.one, self.one.settings, self.one.dataset
        sizes = (len(dataset.train), len(dataset.test), len(dataset.classes))
        self.listen(RaceStarted(dataset.name, *sizes, (one.name,), ()))
        resume = resume_for(self.one, self.keeping.resume, self.world, self.tell)
        board = Board(self.keeping.board) if self.keeping.board else None
        told = start_of(settings, dataset, [one.name])
        self.machine = describe_machine()
        log = RunLog("train", self._out, tell=self.tell, machine=self.machine, **told)
        try:
            training = self._training(resume)
            plan = plan_words(training.plan)
            self.tell(_recipe_words(one))
            self.tell(_departs(one))
            if unmoved := one.recipe.unmoved(len(training.batches)):
                self.tell(unmoved)
            self.listen(NetworkStarted(one.name, 1, one.epochs, settings.minutes, plan, 1.0))
            weights = self._out / WEIGHTS
            result = one.run(training, weights, self._follow(log, board))
        except BaseException as error:
            _note_failure(log, error)
            raise
        finally:
            if board is not None:
                board.close()
        again: dict[str, Any] = {"resumed_from_step": self.resumed_from_step, "exact": self.exact}
        kept = {"key": one.key, "config": one.config, "steps": training.at.step, **again}
        log.write("result", **kept, result=result_to_dict(result))
        log.write("end", status="done")
        self.listen(NetworkDone(result))
        return Outcome(result, weights, **again)

    def follow_first(self) -> None:
        """Trains as rank 0 does, and leaves writing, testing and telling to it."""
        resume = resume_for(self.one, self.keeping.resume, self.world, self.tell)
        for _ in self._training(resume).events():
            pass

    def _training(self, resume: Checkpoint | None) -> Training:
        one, keeping, world = self.one, self.keeping, self.world
        model = one.model()
        plan = world.of_first(
            lambda: one.plan(model, world) if resume is None else plan_of(resume, one.settings)
        )
        if world.devices:
            plan = replace(plan, device=world.devices[0])
        training = one.training(model, plan)
        about = {
            "config": one.config,
            "network": one.name,
            "exactness": exactness(plan, world) | pictures_of(one.dataset),
            "plan": plan.to_dict(),
        }
        keeper = Keeper(self._out / CHECKPOINTS, about, keeping.steps, keeping.seconds, self.stop)
        first = None if resume else tensors_to_start_from(one, keeping.init_from)
        return replace(training, keeper=keeper, resume=resume, trained=first, world=world)

    def _follow(self, log: RunLog, board: Board | None) -> Callable[[Event], None]:
        """Hands events on, and notes the resume and the memory that ran out."""
        hand_on = follow(self.one.name, self.listen)

        def told(event: Event) -> None:
            hand_on(event)
            if board is not None:
                board.listen(event)
            if isinstance(event, Resumed):
                self.resumed_from_step, self.exact = event.step, event.exact
                log.write("resumed", step=event.step, exact=event.exact, changed=event.changed)
                self.tell(_resumed_words(event))
            elif isinstance(event, RunFinished) and event.tested_epoch is not None:
                self.tell(f"tested is epoch {event.tested_epoch}, the best by validation.")
            elif isinstance(event, MicroBatchHalved):
                log.write("micro_batch", step=event.step, micro_batch=event.micro_batch)
                self.tell(_halved_words(event))

        return told


def _differing(one: Entrant) -> str:
    """In what the last run of the folder is another than this, as its log has it."""
    starts = [e for e in read_events(one.settings.out / LOG) if e["event"] == "start"]
    if not starts:
        return "network, data, recipe, seed, length or the weights to start from"
    told = (
        ("network", "models", [one.name]),
        ("data", "data_fingerprint", one.dataset.fingerprint),
        ("seed", "seed", one.settings.seed),
    )
    found = [word for word, key, value in told if starts[-1].get(key) != value]
    return " and ".join(found) or "recipe, length or the weights to start from"


def _as_race(one: Entrant, result: Result, machine: dict[str, Any], started: str) -> Race:
    """The run as its page takes it; the sentence is the recipe's, and how the paper's differs."""
    parts = (one.settings, one.dataset, machine, [result], started)
    sentence = f"{_recipe_words(one)}; {_departs(one)}"
    return replace(race_of(*parts, timed=False), sentence=sentence)


def _resumed_words(event: Resumed) -> str:
    begin = f"goes on behind step {event.step}"
    if event.exact:
        return f"{begin}, to the same bits as without the interruption."
    what = ", ".join(f"{one} {a} -> {b}" for one, (a, b) in event.changed.items())
    return f"{begin}, approximate: {what or 'an earlier resume was'}."


def _halved_words(event: MicroBatchHalved) -> str:
    return (
        f"out of memory at step {event.step}: the batch is taken in parts of "
        f"{event.micro_batch} from here on; batch norm sees the parts."
    )


def _recipe_words(one: Entrant) -> str:
    """The recipe in one line."""
    recipe, s = one.recipe, one.settings
    if s.minutes:
        length = f"{s.minutes:g} minutes"
    else:
        length = counted(s.epochs, "epoch") if s.epochs else length_words(recipe)
    rate = f"rate {recipe.lr:g}, {recipe.schedule}"
    best = "; its best epoch by validation is tested" if recipe.tested == "best" else ""
    return f"recipe {recipe.name}: {length}, batch {recipe.batch}, {rate}{best}"


def _departs(one: Entrant) -> str:
    """How this run, by the length that was asked, differs from the paper's recipe."""
    recipe, s = one.recipe, one.settings
    if s.epochs:
        recipe = replace(recipe, epochs=s.epochs, iterations=None)
    return differing(recipe, one.name, minutes=s.minutes)


def _note_failure(log: RunLog, error: BaseException) -> None:
    """The end of a run that did not finish."""
    if isinstance(error, DivergedError):
        layers = [asdict(layer) for layer in error.layers]
        log.write("diverged", step=error.step, ids=error.ids, names=error.names, layers=layers)
    stopped = isinstance(error, (KeyboardInterrupt, StoppedError))
    log.write("end", status="interrupted" if stopped else "failed")
