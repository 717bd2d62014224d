"""Whether the records of a home folder are whole, looked at without changing anything."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from convarium.files import home
from convarium.records.database import NAME, Database, rebuild, set_aside
from convarium.records.events import logs_in, read_events

WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Health:
    """What was found. `fault` is why the database cannot be used, None where it can.

    `torn` counts, by the name of the log, lines that cannot be read; `unread` says why a whole
    log cannot be.
    """

    exists: bool
    fault: str | None = None
    locked: bool = False
    runs: int = 0
    results: int = 0
    logs: int = 0
    not_indexed: tuple[str, ...] = ()  # runs that have a log and are not in the database
    torn: dict[str, int] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def check_records(folder: Path | None = None) -> Health:
    """The state of the database and of the logs beside it."""
    folder = folder or home()
    logs = logs_in(folder)
    unread = {log.name: reason for log in logs if (reason := _unreadable(log))}
    torn = {log.name: count for log in logs if (count := _torn_lines(log))}
    path = folder / NAME
    if not path.exists():
        names = tuple(log.stem for log in logs)
        return Health(False, logs=len(logs), not_indexed=names, torn=torn, unread=unread)
    try:
        fault, known, results = _look_into(path)
    except sqlite3.DatabaseError as error:
        fault, known, results = str(error), set(), 0
    there = [log.stem for log in logs if log.name not in unread]
    missing = () if fault else tuple(run for run in there if run not in known)
    locked = fault is not None and "locked" in fault
    return Health(True, fault, locked, len(known), results, len(logs), missing, torn, unread)


def repair_records(health: Health, folder: Path | None = None) -> int:
    """Mends what `check_records` found, from the logs; how many runs the database has then.

    A database with a fault is set aside as .damaged and built anew; runs that one without a fault
    does not know are taken in.

    Raises:
        OSError: the folder cannot be written.
        sqlite3.DatabaseError: the database cannot be written.
    """
    folder = folder or home()
    if health.exists and health.fault is None:
        with Database(folder) as database:
            for run in health.not_indexed:
                database.add(read_events(folder / "runs" / f"{run}.jsonl"))
            return len(database.query("SELECT run FROM runs"))
    if health.exists:
        set_aside(folder)
    return rebuild(folder)


def _look_into(path: Path) -> tuple[str | None, set[str], int]:
    """What is wrong, None if nothing; the runs that the database knows; how many results."""
    address = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS)) as connection:
        (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            return " ".join(str(said).split()), set(), 0
        known = {str(run) for (run,) in connection.execute("SELECT run FROM runs")}
        (results,) = connection.execute("SELECT count(*) FROM results").fetchone()
    return None, known, int(results)


def _torn_lines(log: Path) -> int:
    """Lines that are no JSON, empty ones left out; 0 where the log cannot be read."""
    lines: list[str] = []
    with suppress(OSError):  # a line ends as `read_events` has it: with a line feed alone
        lines = log.read_text("utf-8", errors="replace").split("\n")
    return sum(not _is_json(line) for line in lines if line.strip())


def _unreadable(log: Path) -> str:
    """Why a log cannot be opened; empty where it can."""
    try:
        with log.open("rb"):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
