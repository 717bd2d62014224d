"""Each result in one line, as tables need it: one query, without the pictures and curves."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from convarium import catalog
from convarium.errors import ConvariumError, InputError, UsageError, unknown_name
from convarium.files import expanded, home, shown
from convarium.records.database import Database
from convarium.records.events import logs_in, read_events

WAIT_SECONDS = 1.0  # for a database that another program has locked
FIRST = "Make the first: convarium bakeoff --data digits"
_NUMBERS = ("megabytes", "top1_low", "top1_high", "epochs", "seed")
_QUERY = f"""
SELECT o.run, o.model, o.status, o.at, o.top1_correct, o.top1_total, o.params, o.macs,
    o.ms_batch1, o.train_seconds,
    {", ".join(f"json_extract(o.details, '$.{name}') AS {name}" for name in _NUMBERS)},
    r.kind, r.data, json_extract(r.details, '$.machine.processor') AS machine
FROM results AS o LEFT JOIN runs AS r ON r.run = o.run
ORDER BY o.at DESC, o.run DESC, o.model
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One network's result in one run; None where a number could not be had.

    `top1_low` and `top1_high` are the Wilson 95 % interval, shares in [0, 1].
    """

    run: str
    model: str
    status: str
    at: str  # ISO 8601, UTC
    kind: str
    data: str
    machine: str  # its processor
    seed: float | None
    epochs: float | None
    top1_correct: float | None
    top1_total: float | None
    top1_low: float | None
    top1_high: float | None
    params: float | None
    macs: float | None
    ms_batch1: float | None
    megabytes: float | None
    train_seconds: float | None

    @property
    def top1(self) -> float | None:
        """Share of test pictures answered rightly."""
        if self.top1_correct is None or not self.top1_total:
            return None
        return self.top1_correct / self.top1_total


_WORDS = ("run", "model", "status", "at", "kind", "data", "machine")


def overview(folder: Path | None = None, *, tell: Callable[[str], None] = print) -> list[Record]:
    """All records of a home folder, the newest first.

    A database that is damaged, locked or not to be opened is passed by: the logs hold everything.

    Args:
        folder: the user's home when None.
        tell: gets the sentence that says so.
    """
    folder = folder or home()
    logs = folder / "runs"
    if not folder.is_dir():
        return []
    try:
        with Database(folder, tell=tell, wait=WAIT_SECONDS) as database:
            found = of_database(database)
            for name, why in database.unread.items():
                tell(f"{shown(logs / name)} cannot be read ({why}): its run may be missing.")
            return found
    except (OSError, sqlite3.DatabaseError) as error:
        reason = getattr(error, "strerror", None) or error
        tell(
            f"the records' database cannot be read ({reason}); read from the logs in {logs} "
            "instead. convarium doctor --repair builds it anew."
        )
    return of_events(_of_logs(folder))


def _of_logs(folder: Path) -> Iterator[dict[str, Any]]:
    for log in logs_in(folder):
        with suppress(OSError):
            yield from read_events(log)


def of_database(database: Database) -> list[Record]:
    """All records of an open database, the newest first."""
    return [_record(row) for row in database.query(_QUERY)]


def of_events(events: Iterable[dict[str, Any]]) -> list[Record]:
    """The records that events tell, the newest first; nothing is written."""
    with Database.in_memory() as database:
        database.add(events)
        return of_database(database)


def select(words: Iterable[str], known: list[Record]) -> list[Record]:
    """The records that words name, each once, the newest first; all of them without words.

    Args:
        words: a run's id or how it begins, RUN/NETWORK, a run's folder, or a network's name,
            alias or pattern with * and ?.
        known: where to look; folders are read from their own logs.

    Raises:
        UsageError: a word that names nothing, or the beginning of several runs' ids.
    """
    words = list(words)
    if not words:
        return known
    chosen = {(one.run, one.model): one for word in words for one in _named(word, known)}
    return sorted(chosen.values(), key=lambda one: (one.at, one.run), reverse=True)


def _named(word: str, known: list[Record]) -> list[Record]:
    run, _, model = word.partition("/")
    runs = sorted({one.run for one in known if run and one.run.startswith(run)})
    if run in runs or len(runs) == 1:
        found = [one for one in known if one.run == (run if run in runs else runs[0])]
        return _of_model(word, model, found) if model else found
    name = catalog.ALIASES.get(word, word)
    found = [one for one in known if fnmatchcase(one.model, name)]
    if found:
        return found
    log = expanded(word) / "log.jsonl"
    if log.is_file():
        return of_events(read_events(log))
    if len(runs) > 1:
        raise UsageError(
            f"{word!r} begins the ids of {len(runs)} runs: {', '.join(runs[:3])}"
            f"{' and others' if len(runs) > 3 else ''}. Give more of the one that is meant."
        )
    if not known:
        raise ConvariumError(f"no record is named {word!r}: there are none yet. {FIRST}")
    names = [*(one.model for one in known), *(one.run for one in known)]
    raise unknown_name("record", word, dict.fromkeys(names))


def full_record(one: Record, word: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The start of a record's run, and its result with curve and confusion, from the log.

    Args:
        one: of `select`.
        word: that named it; a folder's own log is read.

    Raises:
        InputError: the run's log is gone.
    """
    logs = (home() / "runs" / f"{one.run}.jsonl", expanded(word) / "log.jsonl")
    for log in logs:
        events = [event for event in read_events(log) if event.get("run") == one.run]
        starts = [event for event in events if event["event"] == "start"]
        results = [event.get("result") for event in events if event["event"] == "result"]
        named = [r for r in results if isinstance(r, dict) and r.get("model") == one.model]
        if starts and named:
            return starts[0], named[-1]
    raise InputError(f"{one.run}/{one.model}: the log {logs[0]} is gone; name the run's folder.")


def _of_model(word: str, model: str, found: list[Record]) -> list[Record]:
    name = catalog.ALIASES.get(model, model)
    named = [one for one in found if one.model == name]
    if not named:
        raise unknown_name(f"network of run {found[0].run}", model, [one.model for one in found])
    return named


def _record(row: dict[str, Any]) -> Record:
    told: dict[str, Any] = {name: _word(row[name]) for name in _WORDS}
    told |= {name: _number(row[name]) for name in row.keys() - told.keys()}
    return Record(**told)


def _word(value: Any) -> str:
    """Logs may be of another hand: nothing in them may steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value or ""))


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    return value if is_number else None
