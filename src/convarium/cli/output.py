"""What a verb writes: one JSON object or text on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA = "convarium/1"
_WIDE = 160  # columns for a reader that is no terminal: cut nothing


def print_json(fields: dict[str, Any]) -> None:
    """Writes one object with the schema first. NaN and infinities are refused: JSON has none."""
    print(json.dumps({"schema": SCHEMA, **fields}, indent=2, allow_nan=False, ensure_ascii=False))


@cache
def out() -> Console:
    """The console of stdout; plain and wide where that is no terminal. Rich honours NO_COLOR."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """The console of stderr, for progress and messages."""
    return _console(stderr=True)


def say(message: str) -> None:
    """One message to the user, on stderr, as it is written."""
    print(message, file=sys.stderr, flush=True)


def hush_stdout() -> None:
    """Nothing more can be written: the flush at the end of the process must not complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # stdout has no descriptor, as under pytest
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, which means that a check said no

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Quiet(stderr=stderr, width=width, highlight=False, markup=True)
