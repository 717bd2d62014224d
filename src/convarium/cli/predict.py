"""`convarium predict`: what a trained network sees on pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convarium.cli.names import complete
from convarium.cli.output import SCHEMA, say
from convarium.cli.text import columns
from convarium.files import exact, printable, shown

if TYPE_CHECKING:
    from convarium.bakeoff.predict import Answer


def predict(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run's folder, a record's id or a weights file."),
    ],
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Picture files.")],
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Classes for each picture.")] = 5,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which network of a race; its most accurate one when left out.",
            autocompletion=complete,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a picture.")] = False,
) -> int:
    """Name what is on pictures: the likeliest classes, by a network that was trained here.

    A picture that cannot be read gets a sentence on stderr; the others are answered all the same,
    and the exit code is 3.

    \b
    Example: convarium predict runs/digits-0 seven.png --top 3
    Example: convarium predict runs/photos-0 holiday/*.jpg --json
    """
    from convarium.bakeoff.predict import predict as answers
    from convarium.bakeoff.trained import find_trained

    trained = find_trained(run, model)
    say(f"{trained.network}, {len(trained.classes)} classes, {shown(trained.weights)}")
    bad = 0
    for answer in answers(trained, pictures, top=top):
        if answer.reason is not None:
            bad += 1
            mend = "" if ";" in answer.reason else " Repair or replace it."  # it has its own
            say(f"error: {shown(answer.picture)}: {answer.reason}.{mend}")
        elif as_json:
            print(_line(answer, trained.network))
        else:
            print(_table(answer))
    return 3 if bad else 0


def _line(answer: Answer, network: str) -> str:
    top = [{"class": name, "probability": share} for name, share in answer.top]
    fields = {"schema": SCHEMA, "picture": exact(answer.picture), "network": network, "top": top}
    # ASCII alone: some readers take other characters, such as U+2028, for the end of a line.
    return json.dumps(fields, allow_nan=False)


def _table(answer: Answer) -> str:
    rows = [(printable(name), f"{100 * share:.1f} %") for name, share in answer.top]
    return f"{shown(answer.picture)}\n{columns((), rows, right='lr', indent=2)}"
