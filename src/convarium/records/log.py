"""One append-only JSON-lines log a run: the truth from which the database can be rebuilt."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from convarium.errors import ExhaustedError, InputError
from convarium.files import home
from convarium.records.database import Database
from convarium.records.events import SCHEMA, append, now

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
            with Database(self._home, tell=self._tell) as database:
                database.add([line])
        except OSError as error:
            self._tell(
                f"records are kept in the run's folder alone: {self._home} cannot be written "
                f"({error.strerror or error})."
            )
            self._home = None


def _cannot_write(path: Path, error: OSError) -> InputError | ExhaustedError:
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return ExhaustedError(f"{path}: {reason}. Free some space; what is finished is kept.")
    return InputError(f"{path} cannot be written: {reason}. Choose another folder with --out.")
