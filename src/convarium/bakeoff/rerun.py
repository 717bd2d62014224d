"""A recorded training repeated: the same network, data, recipe, seed and plan; what moved."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convarium import __version__
from convarium.bakeoff.entrant import Entrant, native_side
from convarium.bakeoff.events import NetworkDone, NetworkStarted, RaceEvent, RaceStarted
from convarium.bakeoff.race import follow, plan_words
from convarium.bakeoff.settings import Settings
from convarium.data import Dataset, load_dataset, normalised
from convarium.errors import ConvariumError, InputError, UsageError
from convarium.machine import Plan, describe_machine, known_device
from convarium.recipes import Recipe, recipe_from_dict
from convarium.records import Result, RunLog
from convarium.records.codec import result_from_dict, result_to_dict

NOT_RECORDED = "not recorded"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the records hold of one training: the start of its run, and its result."""

    run: str
    start: dict[str, Any]
    result: Result


@dataclass(frozen=True, slots=True)
class Comparison:
    """A training and its repetition.

    `verdict` is "same", "moved" (same versions, plan and machine, and yet other results),
    "changed" (results moved, and so did a version or the machine) or "clock"
    (the training was for minutes, so that its length follows the machine's speed).
    """

    run: str
    model: str
    verdict: str
    sentence: str
    top1_correct: tuple[int, int]  # then, now
    top1_total: int
    answers_moved: int  # test pictures answered otherwise, at least: from the confusion matrices
    first_epoch_apart: int | None  # from 1; None where the loss curves are equal
    largest_loss_gap: float  # nats
    train_seconds: tuple[float, float]
    seconds_ratio: float  # now / then
    changed: dict[str, tuple[str, str]]  # what: then, now


def read_recorded(run: str, start: dict[str, Any], result: dict[str, Any]) -> Recorded:
    """The record of one training, from the events of its run.

    Raises:
        InputError: the training did not end, or the record is of another version.
    """
    try:
        read = result_from_dict(result)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{run}: the record cannot be read ({error}).") from error
    if read.status != "done":
        raise InputError(f"{run}/{read.model} is {read.status}: there is nothing to repeat.")
    return Recorded(run, start, read)


def rerun(
    recorded: Recorded, *, listen: Callable[[RaceEvent], None], tell: Callable[[str], None]
) -> Comparison:
    """Trains the network again as the record has it, and compares; the repetition is recorded too.

    Raises:
        InputError: the data is gone or is other data than then, or the plan cannot be had here.
        UsageError: the network is no longer in the catalog.
    """
    one, plan = _entrant(recorded), _plan(recorded)
    sizes = (len(one.dataset.train), len(one.dataset.test), len(one.dataset.classes))
    listen(RaceStarted(one.dataset.name, *sizes, (one.name,), ()))
    machine = describe_machine()
    told = one.settings.told(one.dataset)
    log = RunLog("rerun", None, tell=tell, **told, of=recorded.run, machine=machine)
    listen(NetworkStarted(one.name, 1, one.epochs, one.settings.minutes, plan_words(plan), 1.0))
    with tempfile.TemporaryDirectory(prefix="convarium-") as folder:
        weights = Path(folder) / "last.safetensors"
        again = one.run(one.training(one.model(), plan), weights, follow(one.name, listen))
    log.write("result", key=one.key, result=result_to_dict(again))
    log.write("end", status="done")
    listen(NetworkDone(again))
    return compare_results(recorded, again, changes(recorded, machine))


def changes(recorded: Recorded, machine: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What is not as it was then: versions, processor, accelerators; (then, now) each."""
    start = recorded.start
    before = _dict(start.get("machine"))
    chips = _dict(recorded.result.plan).get("device", "cpu") != "cpu"
    then = {"convarium": start.get("convarium"), "python": before.get("python")}
    then |= _dict(before.get("versions")) | {"processor": before.get("processor")}
    now = {"convarium": __version__, "python": machine["python"]}
    now |= machine["versions"] | {"processor": machine["processor"]}
    if chips:
        then["accelerators"], now["accelerators"] = (
            before.get("accelerators"),
            machine["accelerators"],
        )
    found = {what: (str(then.get(what) or NOT_RECORDED), str(now[what])) for what in now}
    return {what: pair for what, pair in found.items() if pair[0] != pair[1]}


def compare_results(
    recorded: Recorded, again: Result, changed: dict[str, tuple[str, str]]
) -> Comparison:
    """The numbers of both trainings beside each other, and what they mean."""
    then = recorded.result
    gaps = [abs(a.loss - b.loss) for a, b in zip(then.curve, again.curve, strict=False)]
    apart = next((epoch for epoch, gap in enumerate(gaps, 1) if gap > 0), None)
    if apart is None and len(then.curve) != len(again.curve):
        apart = len(gaps) + 1
    moved = apart is not None or then.confusion != again.confusion
    minutes = _minutes(recorded.start) is not None
    verdict = "same" if not moved else "clock" if minutes else "changed" if changed else "moved"
    return Comparison(
        run=recorded.run,
        model=then.model,
        verdict=verdict,
        sentence=_sentence(verdict, then, again, changed),
        top1_correct=(then.top1_correct, again.top1_correct),
        top1_total=again.top1_total,
        answers_moved=_answers_apart(then, again),
        first_epoch_apart=apart,
        largest_loss_gap=max(gaps, default=0.0),
        train_seconds=(then.train_seconds, again.train_seconds),
        seconds_ratio=again.train_seconds / then.train_seconds,
        changed=changed,
    )


def _sentence(
    verdict: str, then: Result, again: Result, changed: dict[str, tuple[str, str]]
) -> str:
    name = then.model
    right = f"{then.top1_correct} then and {again.top1_correct} now"
    if verdict == "same":
        return f"{name}: the same loss in every epoch and the same answers, bit for bit."
    if verdict == "clock":
        return (
            f"{name}: {right} of {again.top1_total} right; it trained for minutes, and a schedule "
            "that follows the clock does not repeat. Train with --epochs to repeat it."
        )
    if verdict == "changed":
        what = ", ".join(f"{one} {a} -> {b}" for one, (a, b) in changed.items())
        return f"{name}: results moved ({right} right), and so did: {what}."
    return (
        f"{name}: results moved ({right} right) though versions, plan and machine are those of "
        "the record. The same seed should give the same bits: please report it."
    )


def _entrant(recorded: Recorded) -> Entrant:
    start, result = recorded.start, recorded.result
    data = _data_place(recorded)
    minutes = _minutes(start)
    settings = Settings(
        data,
        Path(),
        models=(result.model,),
        epochs=None if minutes else result.epochs,
        minutes=minutes,
        seed=result.seed,
        skip_bad=bool(start.get("skip_bad") or start.get("skipped")),  # older ones lack the first
        command=str(start.get("command") or ""),
    )
    name = settings.line_up("small")[0]
    try:
        side = native_side(name)
        dataset = load_dataset(data, side=side, seed=result.seed, skip_bad=settings.skip_bad)
    except ConvariumError as error:
        raise InputError(f"{recorded.run}: its data cannot be had: {error}") from error
    _check_data(recorded, dataset, data)
    recipe = _recipe(recorded)
    return Entrant(name, normalised(dataset, recipe), recipe, settings)


def _data_place(recorded: Recorded) -> str:
    """Where the pictures were; of older records, as the command had it."""
    place = recorded.start.get("data_place")
    if isinstance(place, str):
        return place
    place = _asked(recorded.start, "--data")
    if place is None:
        raise InputError(f"{recorded.run}: the record does not say where its data was.")
    return place


def _minutes(start: dict[str, Any]) -> float | None:
    """Of training, where the run was for minutes; of older records, as the command had it."""
    told = start.get("minutes", _asked(start, "--minutes"))
    try:
        return None if told is None else float(told)
    except (TypeError, ValueError) as error:
        raise InputError(f"the record's minutes cannot be read ({error}).") from error


def _asked(start: dict[str, Any], option: str) -> str | None:
    """What stands behind an option in the recorded command."""
    words = shlex.split(str(start.get("command") or ""))
    return words[words.index(option) + 1] if option in words[:-1] else None


def _check_data(recorded: Recorded, dataset: Dataset, place: str) -> None:
    then, now = recorded.start.get("data_fingerprint"), dataset.fingerprint
    total = len(dataset.test)
    if then is None and total == recorded.result.top1_total:
        return  # an older record, that kept no fingerprint
    if then != now:
        raise InputError(
            f"{place} is not what it was: fingerprint {str(then)[:12]} in record {recorded.run}, "
            f"{now[:12]} now, {total} test pictures. Bring the pictures of then back, or train "
            "anew: the results cannot be compared."
        )


def _recipe(recorded: Recorded) -> Recipe:
    """The recipe as recorded, which may no longer be the one that the network has today."""
    try:
        return recipe_from_dict(recorded.result.recipe)
    except (TypeError, ValueError, UsageError) as error:
        raise InputError(f"{recorded.run}: its recipe cannot be read ({error}).") from error


def _plan(recorded: Recorded) -> Plan:
    """The plan of then, which must be possible here."""
    try:
        plan = Plan(**recorded.result.plan)
    except (TypeError, UsageError) as error:
        raise InputError(f"{recorded.run}: its plan cannot be read ({error}).") from error
    try:
        known_device(plan.device)
    except UsageError as error:
        raise InputError(
            f"{recorded.run} ran on {plan.device}, which torch cannot use here. "
            "Repeat it where it ran: elsewhere every number would differ."
        ) from error
    return plan


def _answers_apart(then: Result, again: Result) -> int:
    """How many test pictures were answered otherwise, at least: from the confusion matrices."""
    if len(then.confusion) != len(again.confusion):
        return again.top1_total
    pairs = zip(then.confusion, again.confusion, strict=True)
    gaps = [abs(a - b) for old, new in pairs for a, b in zip(old, new, strict=True)]
    return sum(gaps) // 2


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
