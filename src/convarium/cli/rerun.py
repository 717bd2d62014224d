"""`convarium rerun`: trains again what is on record, and says what moved."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from convarium.cli.names import complete_record
from convarium.cli.output import AsJson, print_json, say
from convarium.cli.text import columns
from convarium.records import Record, overview, select
from convarium.records.overview import full_record

if TYPE_CHECKING:
    from convarium.bakeoff.rerun import Comparison

MOVED = 1


def rerun(
    record: Annotated[
        str,
        typer.Argument(
            metavar="RECORD",
            help="A run by id, or how it begins, RUN/NETWORK, a run's folder, or a network, which "
            "stands for its newest run; `convarium compare` lists them.",
            autocompletion=complete_record,
        ),
    ],
    as_json: AsJson = False,
) -> int:
    """Repeat a recorded training: same network, data, recipe, seed and plan. Say what moved.

    Exit code 0: the results are the same, or a version or the machine changed since, or the
    training was for minutes. Exit code 1: they moved and nothing explains it.

    \b
    Example: convarium rerun lenet5
    Example: convarium rerun 20260301T123000-a1b2c3/resnet20_cifar
    """
    from convarium.bakeoff.rerun import read_recorded
    from convarium.bakeoff.rerun import rerun as repeat
    from convarium.cli.progress import watch

    chosen = _newest_run(select([record], overview(tell=say)))
    recorded = [read_recorded(one.run, *full_record(one, record)) for one in chosen]
    done = []
    for one in recorded:
        with watch() as watcher:
            done.append(repeat(one, listen=watcher.listen, tell=watcher.tell))
    if as_json:
        print_json({"comparisons": [asdict(one) for one in done]})
    else:
        print("\n\n".join(map(_text, done)))
    return MOVED if any(one.verdict == "moved" for one in done) else 0


def _newest_run(found: list[Record]) -> list[Record]:
    """The finished networks of the newest run; repetitions give way to what they repeat."""
    first = [one for one in found if one.kind != "rerun"] or found
    newest = [one for one in first if one.run == first[0].run]
    return [one for one in newest if one.status == "done"] or newest


def _text(one: Comparison) -> str:
    loss = "equal in every epoch"
    if one.first_epoch_apart is not None:
        gap = f"largest gap {one.largest_loss_gap:.3g} nats"
        loss = f"apart from epoch {one.first_epoch_apart} on, {gap}"
    rows = [
        ("top-1", *(f"{correct} of {one.top1_total}" for correct in one.top1_correct)),
        ("train s", *(f"{seconds:.1f}" for seconds in one.train_seconds)),
        *((what, then, now) for what, (then, now) in one.changed.items()),
    ]
    table = columns(("", "then", "now"), rows, indent=2)
    answers = f"{one.answers_moved} answers moved, loss {loss}"
    return f"{one.sentence}\n{table}\n  {answers}, time x {one.seconds_ratio:.2f}"
