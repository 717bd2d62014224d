"""`convarium doctor`: is everything here that convarium needs, and are the records whole."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from convarium.cli import findings
from convarium.cli.findings import Finding
from convarium.cli.output import AsJson, print_json, say
from convarium.cli.text import bold, columns
from convarium.errors import InputError, counted
from convarium.files import shown
from convarium.records.health import check_records, repair_records

PROBLEM = 1


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Build a damaged records' database anew from the logs.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check versions, threads, accelerator, counters, memory, disk, home folder and records.

    Every finding is ok, a note or a problem, with the one line that mends it. Nothing is asked of
    any network. Exit code 1 if there is a problem.

    \b
    Example: convarium doctor
    Example: convarium doctor --repair
    """
    folder = findings.own_home()
    repaired = _repair(folder) if repair else ""
    found = list(_findings(folder))
    states = Counter(one.state for one in found)
    if as_json:
        summary = {state: states[state] for state in ("ok", "note", "problem")}
        listed = [asdict(one) for one in found]
        print_json({"findings": listed, "summary": summary, "repaired": repaired or None})
    else:
        print(_text(found))
        notes, problems = states["note"], states["problem"]
        print(f"\n{states['ok']} ok, {counted(notes, 'note')}, {counted(problems, 'problem')}")
    return PROBLEM if states["problem"] else 0


def _findings(folder: Path) -> Iterator[Finding]:
    return chain(
        findings.check_python(),
        findings.check_libraries(),
        findings.check_machine(),
        findings.check_disk(Path.cwd(), folder),
        findings.check_home(folder),
        _records(folder),
    )


def _records(folder: Path) -> Iterator[Finding]:
    try:
        health = check_records(folder)
    except OSError as error:
        said = f"cannot be read ({error.strerror or error}): {shown(error.filename or folder)}"
        mend = "give yourself the right to read it, or set CONVARIUM_HOME to another folder"
        yield Finding("database", "problem", said, mend)
        return
    yield from findings.check_database(health, folder)


def _repair(folder: Path) -> str:
    """Mends the database if it needs to be; what was done, in words."""
    try:
        health = check_records(folder)
        if not (health.fault or health.not_indexed):
            say("the records are whole: nothing to repair.")
            return ""
        runs = repair_records(health, folder)
    except (OSError, sqlite3.DatabaseError) as error:
        raise InputError(
            f"{folder}: the records cannot be repaired ({error}). Give yourself the right to write "
            "there; the logs in runs/ are not touched."
        ) from error
    aside = "; the old one is kept beside it as .damaged" if health.fault else ""
    done = f"the records' database is built from its logs: {counted(runs, 'run')}{aside}"
    say(f"{done}.")
    return done


def _text(found: list[Finding]) -> str:
    marks = {"ok": "ok", "note": "note", "problem": bold("PROBLEM")}
    rows = [
        (marks[one.state], one.what, one.said + (f"  ->  {one.mend}" if one.mend else ""))
        for one in found
    ]
    return columns((), rows)
