"""`convarium bakeoff`: races networks on one data set, records it, writes the report."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convarium.bakeoff.settings import Settings
from convarium.cli.names import complete_list
from convarium.cli.output import SCHEMA, AsJson, print_json, say
from convarium.cli.text import columns, short
from convarium.files import exact, expanded, shown

if TYPE_CHECKING:
    from convarium.records import Race, Result

Precision = Annotated[
    str | None, typer.Option(metavar="fp32|bf16", help="Instead of the speed probe's choice.")
]
Layout = Annotated[
    str | None,
    typer.Option(metavar="contiguous|channels_last", help="Instead of the speed probe's choice."),
]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out pictures that cannot be read; they are counted."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Instead of all available cores.")]
Device = Annotated[
    str | None,
    typer.Option(metavar="cpu|cuda|cuda:N", help="A GPU where torch can use one when left out."),
]


def bakeoff(
    data: Annotated[
        str,
        typer.Option(
            metavar="digits|FOLDER|FILE",
            help="The digits of scikit-learn; a folder with one folder of pictures per class, or "
            "with train/ and val/ of that form; or an .npz file, or a folder with one, with "
            "MNIST's IDX files or with CIFAR's batches.",
        ),
    ],
    models: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Networks to race; a line-up that suits the pictures when left out.",
            autocompletion=complete_list,
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Epochs of every network.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="Minutes of training of every network.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed repeats the race.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the race; runs/DATA-SEED when left out."),
    ] = None,
    precision: Precision = None,
    layout: Layout = None,
    threads: Threads = None,
    device: Device = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train again what an earlier call finished.")
    ] = False,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Race networks on your pictures: accuracy, size, speed, with a report to look at.

    Each network trains by its short recipe, or all for --epochs or --minutes; then all are timed
    in turns. Ctrl-C keeps what is finished; the same command again continues.

    \b
    Example: convarium bakeoff --data digits
    Example: convarium bakeoff --data photos/ --models squeezenet1_1,resnet18 --minutes 5
    """
    names = tuple(part.strip() for part in models.split(",") if part.strip()) if models else None
    asked = {"models": names and ",".join(names), "epochs": epochs, "minutes": minutes}
    asked |= {"seed": seed, "precision": precision, "layout": layout, "threads": threads}
    asked |= {"device": device, "skip-bad": skip_bad or None}
    settings = Settings(
        data=data,
        out=out or Path("runs") / f"{stem(data)}-{seed}",
        models=names,
        epochs=epochs,
        minutes=minutes,
        seed=seed,
        precision=precision,
        layout=layout,
        threads=threads,
        device=device,
        fresh=fresh,
        skip_bad=skip_bad,
        command=command_line("bakeoff", data, asked),
    )
    race = _run(settings)
    page = _write(race, settings.out)
    if as_json:
        print_json({**_plain(race), "report": str(page)})
        return
    more = ", ".join(result.model for result in race.earlier)
    also = f", with what was raced there before: {more}" if more else ""
    print(f"\n{race_table(race.results)}\n\n{race.sentence}\n\nReport: {shown(page)}{also}")


def race_table(results: tuple[Result, ...]) -> str:
    """One line a network, the most accurate first; those that failed at the end with why."""
    done = [r for r in results if r.status == "done"]
    done.sort(key=lambda r: (-r.top1_correct, r.ms_batch1))
    rows = [
        (
            r.model,
            f"{100 * r.top1_correct / r.top1_total:.1f} %",
            f"{100 * r.top1_low:.1f} to {100 * r.top1_high:.1f}",
            short(r.params),
            short(r.macs),
            f"{r.megabytes:.2f}",
            str(r.epochs),
            f"{r.train_seconds:.1f}",
            f"{r.ms_batch1:.2f}",
            f"{r.images_per_second:,.0f}",
        )
        for r in done
    ]
    header = ("network", "top-1", "95 % interval", "params", "MACs", "MB", "epochs", "train s")
    table = columns((*header, "ms", "images/s"), rows, right="lrrrrrrrrr")
    lost = [r for r in results if r.status != "done"]
    reasons = [f"{r.model}: {r.status}, {next(iter(r.unavailable.values()))}" for r in lost]
    return "\n".join([table, *reasons])


def _run(settings: Settings) -> Race:
    from convarium.bakeoff.race import race
    from convarium.cli.progress import watch

    with watch() as watcher:
        try:
            return race(settings, listen=watcher.listen, tell=watcher.tell)
        except KeyboardInterrupt:
            watcher.stop()
            kept = f"{watcher.finished} of {watcher.count} networks are finished"
            say(f"stopped: {kept} and kept in {shown(settings.out)}; the same command continues.")
            raise


def _write(race: Race, out: Path) -> Path:
    """race.json and the report of all that was raced in the folder so; the page's path."""
    from convarium.bakeoff.race import whole_folder
    from convarium.files import written_whole
    from convarium.report import write_report

    with written_whole(out / "race.json") as temporary:
        text = json.dumps({"schema": SCHEMA, **_plain(race)}, allow_nan=False)
        temporary.write_text(text, encoding="utf-8")
    return write_report(whole_folder(race), out)


def _plain(race: Race) -> dict[str, Any]:
    from convarium.records.codec import race_to_dict

    return race_to_dict(race)


def stem(data: str) -> str:
    """The data's name, for the name of a folder."""
    return Path(os.path.realpath(expanded(data))).name if data != "digits" else data


def command_line(verb: str, data: str, asked: dict[str, Any], fields: Sequence[str] = ()) -> str:
    """The command that does the same again.

    >>> command_line("bakeoff", "my photos", {"epochs": 2, "minutes": None, "seed": 0})
    "convarium bakeoff --data 'my photos' --epochs 2 --seed 0"
    """
    words = ["convarium", *verb.split(), "--data", data]
    for option, value in asked.items():
        if value is True:
            words.append(f"--{option}")
        elif value is not None:
            words += [f"--{option}", f"{value:g}" if isinstance(value, float) else str(value)]
    for words_ in fields:
        words += ["--set", words_]
    return exact(shlex.join(words))
