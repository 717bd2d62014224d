"""A race's own folder: what an earlier call finished in it, and one race at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convarium.errors import ExhaustedError, InputError, UsageError
from convarium.records import Result, read_events
from convarium.records.codec import result_from_dict

LOG = "log.jsonl"
WEIGHTS = "last.safetensors"  # of a network that was trained alone


def weights_path(out: Path, model: str) -> Path:
    """Where a network's trained weights lie."""
    return out / "weights" / f"{model}.safetensors"


def finished_before(out: Path) -> dict[str, Result]:
    """By key, the results that earlier races left in `out`, as far as their weights are there."""
    found: dict[str, Result] = {}
    for event in read_events(out / LOG):
        if event["event"] not in ("trained", "result"):
            continue
        try:
            result = result_from_dict(event["result"])
        except (KeyError, TypeError, ValueError):
            continue  # of another version
        if result.status == "done" and weights_path(out, result.model).is_file():
            found[str(event.get("key"))] = result
    return found


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Keeps other races out of the folder while the block runs.

    Raises:
        UsageError: another race runs there.
        InputError: the folder cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out / ".lock", os.O_CREAT | os.O_RDWR, 0o666)
    except OSError as error:
        kind = ExhaustedError if error.errno in (28, 122) else InputError
        raise kind(f"{out} cannot be written: {error.strerror}. Choose another --out.") from error
    try:
        _lock(handle, out)
        yield
    finally:
        os.close(handle)  # the lock goes with it, also when the process is killed


def _lock(handle: int, out: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not on this system: two races in one folder are the user's to avoid
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"another race runs in {out}. Wait, or choose another --out.") from None
