"""One append-only JSON-lines log a run: the truth from which the database can be rebuilt."""

from __future__ import annotations

import errno
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from convarium.errors import ExhaustedError, InputError
from convarium.files import home, shown
from convarium.records.database import Database
from convarium.records.events import SCHEMA, append, now, read_events

_IS_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{6}")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class RunLog:
    """Writes a run's events to its own folder, to the user's home and into the database.

    A home that cannot be written costs a message, not the run: the copy in the run's folder holds
    everything. Every event is on disk when `write` returns.
    """

    def __init__(
        self, kind: str, out: Path | None, *, tell: Callable[[str], None], **start: Any
    ) -> None:
        self.id = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self._tell = tell
        self._copy = None if out is None else out / "log.jsonl"
        self._home: Path | None = home()
        self._database_answers = True
        self.write("start", kind=kind, **start)

    def write(self, event: str, **fields: Any) -> None:
        """Appends one event; fields are what JSON can hold.

        Raises:
            InputError: the run's folder cannot be written.
            ExhaustedError: the disk is full.
        """
        line = {"schema": SCHEMA, "run": self.id, "event": event, "at": now(), **fields}
        if self._copy is not None:
            try:
                append(self._copy, line)
            except OSError as error:
                raise _cannot_write(self._copy, error) from error
        if self._home is None:
            return
        try:
            append(self._home / "runs" / f"{self.id}.jsonl", line)
        except OSError as error:
            self._tell(
                f"records are kept in the run's folder alone: {shown(self._home)} cannot be "
                f"written ({error.strerror or error})."
            )
            self._home = None
            return
        if self._database_answers:
            self._tell_database(line)

    def _tell_database(self, line: dict[str, Any]) -> None:
        """A database that does not answer is not asked again: it catches up from the logs."""
        try:
            with Database(self._home, tell=self._tell) as database:
                database.add([line])
        except OSError as error:
            self._tell(
                f"the records' database does not answer ({error.strerror or error}); it takes "
                "this run in when it is next opened."
            )
            self._database_answers = False


def note_end(log: Path, run: str, status: str) -> None:
    """Gives a run that was killed the end that its log lacks, as far as it can be written."""
    with suppress(OSError):
        append(log, {"schema": SCHEMA, "run": run, "event": "end", "at": now(), "status": status})


def share(log: Path) -> None:
    """Brings the home's logs up to what a folder's own log has.

    They lack what was written while the home could not be, or what a kill came between.
    """
    by_run: dict[str, list[dict[str, Any]]] = {}
    for event in read_events(log):
        if _IS_ID.fullmatch(str(event.get("run"))):
            by_run.setdefault(event["run"], []).append(event)
    with suppress(OSError):
        for run, events in by_run.items():
            own = home() / "runs" / f"{run}.jsonl"
            known = list(read_events(own))
            missing = [event for event in events if event not in known]
            for event in missing:
                append(own, event)


def _cannot_write(path: Path, error: OSError) -> InputError | ExhaustedError:
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return ExhaustedError(f"{path}: {reason}. Free some space; what is finished is kept.")
    return InputError(f"{path} cannot be written: {reason}. Choose another folder with --out.")
