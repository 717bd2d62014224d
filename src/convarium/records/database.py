"""The index over all runs: one SQLite file in WAL mode, rebuilt from the logs whenever needed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from convarium.files import home, shown
from convarium.records.events import logs_in, read_events

NAME = "records.sqlite"
BUSY_SECONDS = 20.0
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, kind TEXT, data TEXT, seed INTEGER, command TEXT,
    started TEXT, ended TEXT, status TEXT, details TEXT
);
CREATE TABLE IF NOT EXISTS results (
    run TEXT, model TEXT, key TEXT, status TEXT, at TEXT,
    top1_correct INTEGER, top1_total INTEGER, params INTEGER, macs INTEGER,
    ms_batch1 REAL, train_seconds REAL, details TEXT,
    PRIMARY KEY (run, model)
);
CREATE TABLE IF NOT EXISTS logs (run TEXT PRIMARY KEY, bytes INTEGER);
CREATE INDEX IF NOT EXISTS results_by_model ON results (model);
"""
# What an event of another hand or version raises: missing fields, values that SQLite cannot hold.
_FOREIGN = (
    *(KeyError, TypeError, AttributeError, OverflowError, ValueError),
    *(sqlite3.InterfaceError, sqlite3.ProgrammingError),
)
_NUMBERS = ("top1_correct", "top1_total", "params", "macs", "ms_batch1", "train_seconds")


class Database:
    """The records of one home folder. Use as a context; several processes may do so at once.

    A file that is no database any more is set aside under another name and built anew from the
    logs. `wait` is how many seconds to wait for a lock of another program.

    Raises:
        OSError: the folder cannot be written, or the database is locked.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        tell: Callable[[str], None] = print,
        wait: float = BUSY_SECONDS,
    ) -> None:
        self._folder = folder or home()
        self._tell = tell
        self._wait = wait
        self._connection: sqlite3.Connection | None = None
        self.unread: dict[str, str] = {}  # logs that cannot be read, and why

    @classmethod
    def in_memory(cls) -> Database:
        """An empty one that is gone when it is closed."""
        database = cls()
        database._connection = _connect(Path(":memory:"))
        return database

    def __enter__(self) -> Database:
        if self._connection is not None:
            return self
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                self._open()
            except sqlite3.OperationalError:
                raise  # locked, full, read-only: nothing is wrong with the file
            except sqlite3.DatabaseError as error:
                self._build_anew(error)
        except sqlite3.Error as error:
            raise OSError(None, str(error)) from error
        return self

    def _open(self) -> None:
        self._connection = _connect(self._folder / NAME, wait=self._wait)
        try:
            self.unread = _catch_up(self._connection, self._folder)
        except sqlite3.Error:
            self._connection.close()
            raise

    def _build_anew(self, error: sqlite3.DatabaseError) -> None:
        """Sets the damaged file aside; the logs have all that it had."""
        if self._connection is not None:
            self._connection.close()
        damaged = set_aside(self._folder)
        path = shown(self._folder / NAME)
        self._tell(f"{path}: {error}. Set aside as {damaged.name}, built anew.")
        rebuild(self._folder)
        self._open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._connection is not None
        self._connection.close()

    def add(self, events: Iterable[dict[str, Any]]) -> None:
        """Takes events in, all or none; one that is known already changes nothing."""
        try:
            self._add(list(events))
        except sqlite3.Error as error:
            raise OSError(None, str(error)) from error

    def _add(self, events: list[dict[str, Any]]) -> None:
        assert self._connection is not None
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                for event in events:
                    _take(self._connection, event)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            self._build_anew(error)

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the newest first."""
        return self._whole("SELECT * FROM runs ORDER BY started DESC, run DESC")

    def results(self, model: str = "%") -> list[dict[str, Any]]:
        """All results of networks whose name is LIKE `model`, the newest first."""
        newest = "ORDER BY at DESC, run DESC, model"
        return self._whole(f"SELECT * FROM results WHERE model LIKE ? {newest}", model)

    def query(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of one SELECT, as they are.

        Raises:
            sqlite3.DatabaseError: the file is damaged behind its first page.
        """
        assert self._connection is not None
        return [dict(row) for row in self._connection.execute(query, values)]

    def _whole(self, query: str, *values: Any) -> list[dict[str, Any]]:
        found = self.query(query, *values)
        return [{**row, "details": json.loads(row["details"])} for row in found]


def set_aside(folder: Path) -> Path:
    """Gives a damaged database another name, and takes away its write-ahead log; the new path."""
    for suffix in ("-wal", "-shm"):
        (folder / f"{NAME}{suffix}").unlink(missing_ok=True)
    return (folder / NAME).replace(folder / f"{NAME}.damaged")


def rebuild(folder: Path | None = None) -> int:
    """Builds the database anew from the logs beside it; returns how many runs there are.

    The old file stays in use until the new one is complete.
    """
    folder = folder or home()
    fresh = folder / f"{NAME}.new"
    fresh.unlink(missing_ok=True)
    connection = _connect(fresh, journal="DELETE")
    with connection:
        connection.execute("BEGIN")
        for log in logs_in(folder):
            with suppress(OSError):  # no right to read it; the others are as good as before
                _take_log(connection, log)
    count = int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    connection.close()
    for suffix in ("-wal", "-shm"):
        (folder / f"{NAME}{suffix}").unlink(missing_ok=True)
    fresh.replace(folder / NAME)
    return count


def _connect(path: Path, *, journal: str = "WAL", wait: float = BUSY_SECONDS) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(_TABLES)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _catch_up(connection: sqlite3.Connection, folder: Path) -> dict[str, str]:
    """Takes in the logs that have grown since: a run was killed, or the database was locked.

    Returns:
        By name, why a log cannot be read.
    """
    known = dict(connection.execute("SELECT run, bytes FROM logs").fetchall())
    behind = [log for log in logs_in(folder) if known.get(log.stem) != log.stat().st_size]
    unread: dict[str, str] = {}
    if not behind:
        return unread
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for log in behind:
            try:
                _take_log(connection, log)
            except OSError as error:
                unread[log.name] = error.strerror or str(error)
    return unread


def _take_log(connection: sqlite3.Connection, log: Path) -> None:
    size = log.stat().st_size  # before reading: what is added meanwhile is taken next time
    for event in read_events(log):
        _take(connection, event)
    _insert(connection, "logs", {"run": log.stem, "bytes": size})


def _take(connection: sqlite3.Connection, event: dict[str, Any]) -> None:
    """One event into its table; kinds of events that have none are passed over."""
    run = event.get("run")
    if not isinstance(run, str):
        return
    with suppress(*_FOREIGN):
        if event["event"] == "start":
            _insert(connection, "runs", _start(run, event))
        elif event["event"] == "result":
            _insert(connection, "results", _result(run, event))
        elif event["event"] == "end":
            query = "UPDATE runs SET ended = ?, status = ? WHERE run = ?"
            connection.execute(query, (event["at"], event["status"], run))


def _start(run: str, event: dict[str, Any]) -> dict[str, Any]:
    told = {name: event.get(name) for name in ("kind", "data", "seed", "command")}
    details = json.dumps(event, ensure_ascii=False, allow_nan=False)
    return {"run": run, **told, "started": event["at"], "status": "open", "details": details}


def _result(run: str, event: dict[str, Any]) -> dict[str, Any]:
    result = event["result"]
    row = {"run": run, "model": result["model"], "key": event.get("key"), "at": event["at"]}
    numbers = {name: result.get(name) for name in _NUMBERS}
    details = json.dumps(result, ensure_ascii=False, allow_nan=False)
    return {**row, "status": result.get("status"), **numbers, "details": details}


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names, marks = ", ".join(row), ", ".join("?" for _ in row)
    query = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})"
    connection.execute(query, tuple(row.values()))
