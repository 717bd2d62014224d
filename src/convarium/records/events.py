"""Lines of a log: how they are written, so that none is lost, and how they are read."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

SCHEMA = "convarium/1"


def append(path: Path, line: dict[str, Any]) -> None:
    """Adds one line to a log and waits until it is on disk.

    A line that a crash has cut short stays by itself: the new one starts a line of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n"
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        data = (("\n" if torn else "") + text).encode()
        if os.write(handle, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(handle)
    finally:
        os.close(handle)


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a log in order; none where there is no log. Torn lines are passed over.

    A line ends with a line feed alone: a name may hold U+2028, which other splitters take for one.
    """
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield event


def logs_in(folder: Path) -> list[Path]:
    """The logs of a home folder, by name; what is no plain file is none."""
    logs = folder / "runs"
    if not logs.is_dir():
        return []
    with os.scandir(logs) as entries:
        found = [entry.path for entry in entries if entry.name.endswith(".jsonl") and _plain(entry)]
    return [Path(path) for path in sorted(found)]


def _plain(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
