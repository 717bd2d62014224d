"""`convarium train`: one network on one data set by its short recipe; weights and a record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from convarium.cli.bakeoff import Layout, Precision, SkipBad, Threads
from convarium.cli.names import NetworkName
from convarium.cli.output import AsJson, print_json, say


def train(
    name: NetworkName,
    data: Annotated[
        str, typer.Option(metavar="digits|FOLDER|FILE", help="As for `convarium bakeoff`.")
    ],
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Instead of the short recipe's.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed repeats the run.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the run; runs/NAME-DATA-SEED when left out."),
    ] = None,
    precision: Precision = None,
    layout: Layout = None,
    threads: Threads = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Train one network by its short recipe, test it, and keep weights and record.

    Writes DIR/last.safetensors and DIR/log.jsonl.

    \b
    Example: convarium train lenet5 --data digits --epochs 5
    """
    from convarium.bakeoff.settings import Settings
    from convarium.bakeoff.single import train_one
    from convarium.cli.bakeoff import command_line, stem
    from convarium.cli.progress import watch

    asked: dict[str, Any] = {"epochs": epochs, "seed": seed, "precision": precision}
    asked |= {"layout": layout, "threads": threads, "skip-bad": skip_bad or None}
    settings = Settings(
        data=data,
        out=out or Path("runs") / f"{name}-{stem(data)}-{seed}",
        models=(name,),
        epochs=epochs,
        seed=seed,
        precision=precision,
        layout=layout,
        threads=threads,
        skip_bad=skip_bad,
        command=command_line(f"train {name}", data, asked),
    )
    with watch() as watcher:
        result, weights = train_one(settings, listen=watcher.listen, tell=watcher.tell)
    if as_json:
        shown = replace(result, mistakes=())
        print_json({"result": _fields(shown), "weights": str(weights)})
        return
    say(f"weights: {weights}")


def _fields(result: Any) -> dict[str, Any]:
    from convarium.records.codec import result_to_dict

    return result_to_dict(result)
