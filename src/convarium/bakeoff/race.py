"""Data -> each network trained, evaluated, timed -> results in the records and one Race."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from convarium.bakeoff.entrant import Entrant, entrant, failed, native_side
from convarium.bakeoff.events import (
    NetworkDone,
    NetworkFailed,
    NetworkProgress,
    NetworkStarted,
    RaceEvent,
    RaceStarted,
    TimingStarted,
)
from convarium.bakeoff.folder import alone_in, finished_before, tidy, weights_path
from convarium.bakeoff.front import front, sentence
from convarium.bakeoff.settings import Settings
from convarium.bakeoff.speed import SECONDS, measure_speed
from convarium.catalog import CATALOG
from convarium.data import Dataset, load_dataset, survey_dataset
from convarium.errors import ConvariumError, ExhaustedError
from convarium.files import exact, printable
from convarium.machine import Plan, describe_machine, known_device
from convarium.machine.plan import LAYOUTS, PRECISIONS
from convarium.records import Race, Result, RunLog
from convarium.records.codec import result_to_dict
from convarium.records.events import now
from convarium.train import Event, RunStarted, StepDone

Listener = Callable[[RaceEvent], None]


def race(settings: Settings, *, listen: Listener, tell: Callable[[str], None]) -> Race:
    """Races networks against each other on one data set, and records it.

    What an earlier call with the same settings finished in the folder is kept. An interruption
    keeps what is finished by then.

    Args:
        settings: what is raced.
        listen: gets every event.
        tell: gets messages to the user, such as a home folder that cannot be written.

    Raises:
        UsageError: a network or an option that cannot be, or another race in the folder.
        InputError: unusable data or folder.
        ExhaustedError: no memory or disk left.
    """
    check_plan(settings)
    with alone_in(settings.out):
        for sentence_ in tidy(settings.out):
            tell(sentence_)
        return _Race(settings, listen, tell).run()


@dataclass
class _Race:
    settings: Settings
    listen: Listener
    tell: Callable[[str], None]
    results: dict[str, Result] = field(default_factory=dict)
    entrants: dict[str, Entrant] = field(default_factory=dict)
    earlier: dict[str, Entrant] = field(default_factory=dict)
    _data: dict[int, Dataset] = field(default_factory=dict)

    def run(self) -> Race:
        """The whole race."""
        started = now()
        survey = survey_dataset(self.settings.data, skip_bad=self.settings.skip_bad)
        names = self.settings.line_up(survey.kind)
        for name in names:
            self.entrants[name] = entrant(name, self._dataset(name), self.settings)
        machine = describe_machine()
        log = self._open_log(machine)
        try:
            before = finished_before(self.settings.out)
            self._keep(before, names)
            self._keep_earlier(before)
            self._train_missing(log)
            self._finish(log, names)
        except BaseException as error:
            kind = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            log.write("end", status=kind)
            raise
        log.write("end", status="done")
        first = next(iter(self.entrants.values()))
        raced, earlier = ([self.results[name] for name in some] for some in (names, self.earlier))
        return race_of(self.settings, first.dataset, machine, raced, started, earlier=earlier)

    def _dataset(self, name: str) -> Dataset:
        """The data at the side that the network takes; loaded once a side."""
        side, s = native_side(name), self.settings
        if side not in self._data:
            self._data[side] = load_dataset(s.data, side=side, seed=s.seed, skip_bad=s.skip_bad)
        return self._data[side]

    def _open_log(self, machine: dict[str, Any]) -> RunLog:
        some = next(iter(self._data.values()))
        say_skipped(some, self.tell)
        told = start_of(self.settings, some, list(self.entrants))
        return RunLog("bakeoff", self.settings.out, tell=self.tell, machine=machine, **told)

    def _keep(self, before: dict[str, Result], names: list[str]) -> None:
        if not self.settings.fresh:
            for name in names:
                kept = before.get(self.entrants[name].key)
                if kept is not None:
                    self.results[name] = kept
        some = self.entrants[names[0]].dataset
        sizes = (len(some.train), len(some.test), len(some.classes))
        self.listen(RaceStarted(some.name, *sizes, tuple(names), tuple(self.results)))

    def _keep_earlier(self, before: dict[str, Result]) -> None:
        """Networks of other line-ups, raced in the folder with this data and these settings."""
        for key, result in before.items():
            name = result.model
            if name in self.entrants or name not in CATALOG:
                continue
            one = entrant(name, self._dataset(name), self.settings)
            if one.key == key:
                self.earlier[name], self.results[name] = one, result

    def _train_missing(self, log: RunLog) -> None:
        missing = [name for name in self.entrants if name not in self.results]
        work = {name: self.entrants[name].work for name in missing}
        for name in missing:
            share = work[name] / sum(work.values())
            try:
                result = self._train(name, share)
            except ExhaustedError:
                raise
            except (ConvariumError, MemoryError) as error:
                result = failed(name, self.settings, str(error) or "out of memory")
                self.listen(NetworkFailed(name, str(error)))
            del work[name]
            self.results[name] = result
            if result.status == "done":
                log.write("trained", key=self.entrants[name].key, result=result_to_dict(result))
                self.listen(NetworkDone(result))
            gc.collect()

    def _train(self, name: str, share: float) -> Result:
        one, s = self.entrants[name], self.settings
        model = one.model()
        plan = one.plan(model)
        position = list(self.entrants).index(name) + 1
        self.listen(NetworkStarted(name, position, one.epochs, s.minutes, plan_words(plan), share))
        return one.run(
            one.training(model, plan), weights_path(s.out, name), follow(name, self.listen)
        )

    def _finish(self, log: RunLog, names: list[str]) -> None:
        """All are timed together, with the folder's others, unless they were so before."""
        done = [name for name in names if self.results[name].status == "done"]
        if not done:
            raise ConvariumError(f"no network finished: {_reasons(self.results.values())}")
        if any(self.results[name].ms_batch1 is None for name in done):
            done += self.earlier
            everyone = self.entrants | self.earlier
            self.listen(TimingStarted(tuple(done), 2 * SECONDS * len(done)))
            parts = [
                (everyone[name], self.results[name], weights_path(self.settings.out, name))
                for name in done
            ]
            for result in measure_speed(parts):
                self.results[result.model] = result
            for name, one in self.earlier.items():
                log.write("timed", key=one.key, result=result_to_dict(self.results[name]))
        for name in names:
            result = self.results[name]
            log.write("result", key=self.entrants[name].key, result=result_to_dict(result))


def whole_folder(race: Race) -> Race:
    """The race with the folder's earlier networks among its results, as the report shows it."""
    results = (*race.results, *race.earlier)
    return replace(race, results=results, **_fronts(results))


def race_of(
    settings: Settings,
    data: Dataset,
    machine: dict[str, Any],
    results: Sequence[Result],
    started: str,
    *,
    earlier: Sequence[Result] = (),
    timed: bool = True,
) -> Race:
    """Everything about a finished race as one value; no fronts where nothing was timed."""
    return Race(
        data=data.name,
        classes=data.classes,
        train_size=len(data.train),
        test_size=len(data.test),
        side=data.side,
        channels=data.channels,
        seed=settings.seed,
        command=settings.command,
        started=started,
        machine=machine,
        results=tuple(results),
        skipped=len(data.skipped),
        earlier=tuple(earlier),
        **_fronts(results if timed else ()),
    )


def _fronts(results: Iterable[Result]) -> dict[str, Any]:
    """The fields of a race that say who beats whom."""
    done = [r for r in results if r.status == "done"]
    accuracy = {r.model: r.top1_correct / r.top1_total for r in done}
    front_time = front({r.model: (accuracy[r.model], r.ms_batch1) for r in done})
    front_size = front({r.model: (accuracy[r.model], r.megabytes) for r in done})
    return {
        "front_time": front_time,
        "front_size": front_size,
        "sentence": sentence(front_time, front_size) if done else "",
    }


def _reasons(results: Iterable[Result]) -> str:
    reasons = {next(iter(result.unavailable.values()), "") for result in results}
    return "; ".join(sorted(reasons))


def start_of(settings: Settings, dataset: Dataset, models: list[str]) -> dict[str, Any]:
    """What a record says of a run at its start, beside its machine."""
    return {
        **settings.told(dataset),
        "models": models,
        "folder": exact(settings.out.absolute()),
        "skipped": [list(pair) for pair in dataset.skipped],
    }


def say_skipped(dataset: Dataset, tell: Callable[[str], None]) -> None:
    """Says which pictures were left out and why."""
    if dataset.skipped:
        listed = "; ".join(f"{printable(name)}: {reason}" for name, reason in dataset.skipped)
        tell(f"left out, {len(dataset.skipped)} that cannot be read: {listed}")


def follow(name: str, listen: Listener) -> Callable[[Event], None]:
    """Turns the events of one network's training into the race's."""
    start: list[RunStarted] = []
    latest: list[StepDone] = []  # the last two at which the loss was read

    def told(event: Event) -> None:
        if isinstance(event, RunStarted):
            start.append(event)
        elif isinstance(event, StepDone):
            if event.loss is not None:
                latest[:] = [*latest[-1:], event]
            listen(_progress(name, event, latest, start[0]))

    return told


def _progress(
    name: str, step: StepDone, latest: list[StepDone], start: RunStarted
) -> NetworkProgress:
    """How far a training is; its speed is that between the last two readings."""
    read = latest[-1] if latest else step
    seconds = read.seconds - latest[0].seconds if latest else 0.0
    images = (read.step - (latest[0] if latest else step).step) * start.train_size
    return NetworkProgress(
        name,
        _share(step, start),
        step.epoch,
        read.loss,
        step.seconds,
        step.lr,
        images / start.steps_per_epoch / seconds if seconds > 0 else None,
        read.grad_norms,
    )


def check_plan(settings: Settings) -> None:
    """Refuses a precision, layout, device or number of threads that no network could be run with.

    Raises:
        UsageError: names the value and what can be.
    """
    Plan(settings.threads or 1, settings.layout or LAYOUTS[0], settings.precision or PRECISIONS[0])
    if settings.device is not None:
        known_device(settings.device)


def plan_words(plan: Plan) -> str:
    """A plan in a few words, for the progress line."""
    where = f"{plan.threads} threads" if plan.kind == "cpu" else plan.device
    return f"{plan.precision}, {plan.layout}, {where}"


def _share(step: StepDone, start: RunStarted) -> float:
    """How much of the training is done."""
    if start.steps:
        return step.step / start.steps
    return min(1.0, step.seconds / (60 * start.minutes)) if start.minutes else 0.0
