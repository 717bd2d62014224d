"""One network on one data set: the smallest race, without timing and report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from convarium.bakeoff.entrant import entrant, native_side
from convarium.bakeoff.events import NetworkDone, NetworkStarted, RaceEvent, RaceStarted
from convarium.bakeoff.folder import WEIGHTS, alone_in, tidy
from convarium.bakeoff.race import check_plan, follow, plan_words, say_skipped, start_of
from convarium.bakeoff.settings import Settings
from convarium.data import load_dataset
from convarium.errors import UsageError
from convarium.machine import describe_machine
from convarium.records import Result, RunLog
from convarium.records.codec import result_to_dict


def train_one(
    settings: Settings, *, listen: Callable[[RaceEvent], None], tell: Callable[[str], None]
) -> tuple[Result, Path]:
    """Trains and evaluates the one network of `settings`; its result and where its weights are.

    Raises:
        UsageError: not exactly one network, or one that does not classify.
        InputError: unusable data or folder.
        DivergedError: the loss is no longer a number.
    """
    if len(settings.models or ()) != 1:
        raise UsageError("train takes one network; bakeoff takes several.")
    name = settings.line_up("small")[0]
    check_plan(settings)
    with alone_in(settings.out):
        for cut_off in tidy(settings.out):
            tell(cut_off)
        side, s = native_side(name), settings
        dataset = load_dataset(s.data, side=side, seed=s.seed, skip_bad=s.skip_bad)
        say_skipped(dataset, tell)
        one = entrant(name, dataset, settings)
        sizes = (len(dataset.train), len(dataset.test), len(dataset.classes))
        listen(RaceStarted(dataset.name, *sizes, (name,), ()))
        told = start_of(settings, dataset, [name])
        log = RunLog("train", settings.out, tell=tell, machine=describe_machine(), **told)
        model = one.model()
        plan = one.plan(model)
        listen(NetworkStarted(name, 1, one.epochs, settings.minutes, plan_words(plan), 1.0))
        weights = settings.out / WEIGHTS
        result = one.run(model, plan, weights, follow(name, listen))
        log.write("result", key=one.key, result=result_to_dict(result))
        log.write("end", status="done")
    listen(NetworkDone(result))
    return result, weights
