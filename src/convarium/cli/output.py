"""What a verb writes: one JSON object or text on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer

SCHEMA = "convarium/1"
_STDOUT, _STDERR = 1, 2  # of the process
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def print_json(fields: dict[str, Any]) -> None:
    """Writes one object with the schema first. NaN and infinities are refused: JSON has none."""
    print(json_text(fields), end="")


def json_text(fields: dict[str, Any]) -> str:
    """What `print_json` writes, its last line ended."""
    whole = {"schema": SCHEMA, **fields}
    return json.dumps(whole, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def say(message: str) -> None:
    """One message to the user, on stderr, as it is written."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """What the user's own code prints while it runs goes to stderr: stdout is the verb's.

    So does what programs print that it starts, where stdout is the process's own.
    """
    sys.stdout.flush()
    with redirect_stdout(sys.stderr):
        try:
            own = os.dup(_STDOUT)
            os.dup2(_STDERR, _STDOUT)
        except OSError:  # one of them is closed
            yield
            return
        try:
            yield
        finally:
            os.dup2(own, _STDOUT)
            os.close(own)


def hush_stdout() -> None:
    """Nothing more can be written: the flush at the end of the process must not complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # stdout has no descriptor, as under pytest
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
