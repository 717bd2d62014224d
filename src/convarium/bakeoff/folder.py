"""A race's own folder: what an earlier call finished in it, and one race at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open

from convarium.errors import ExhaustedError, InputError, UsageError, counted
from convarium.records import Result, note_end, read_events, share
from convarium.records.codec import result_from_dict

LOG = "log.jsonl"
# As `files.written_whole` names them, and safetensors what it writes before it renames it.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}|\.tmp[0-9A-Za-z]{6}")
WEIGHTS = "last.safetensors"  # of a network that was trained alone
CHECKPOINTS = "checkpoints"  # of the same


def weights_path(out: Path, model: str) -> Path:
    """Where a network's trained weights lie."""
    return out / "weights" / f"{model}.safetensors"


def finished_before(out: Path) -> dict[str, Result]:
    """By key, the results that earlier races left in `out`, as far as their weights are there."""
    found: dict[str, Result] = {}
    for event in read_events(out / LOG):
        if event["event"] not in ("trained", "timed", "result"):
            continue
        try:
            result = result_from_dict(event["result"])
        except (KeyError, TypeError, ValueError):
            continue  # of another version
        if result.status == "done" and is_sound(weights_path(out, result.model)):
            found[str(event.get("key"))] = result
    return found


def tidy(out: Path) -> list[str]:
    """Clears up behind a run that was killed in `out`; call while alone in it.

    Half-written files are removed, its log gets the end that it lacks, and the home's records
    what they have missed.

    Returns:
        A sentence for the user on each run that had no end.
    """
    for folder in (out, out / "weights", out / CHECKPOINTS):
        for path in folder.glob(".*") if folder.is_dir() else ():
            if _TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)
    open_runs: dict[str, int] = {}
    for event in read_events(out / LOG):
        run = str(event.get("run"))
        if event["event"] == "start":
            open_runs[run] = 0
        elif event["event"] == "end":
            open_runs.pop(run, None)
        elif run in open_runs and event["event"] in ("trained", "result"):
            open_runs[run] += 1
    told = []
    for run, count in open_runs.items():
        note_end(out / LOG, run, "killed")
        kept = f"; what it had finished is kept: {counted(count, 'network')}" if count else ""
        told.append(f"run {run} was cut off here{kept}.")
    share(out / LOG)
    return told


def is_sound(weights: Path) -> bool:
    """True where a weights file is there and as long as its header says."""
    try:
        with safe_open(weights, framework="np"):
            return True
    except (OSError, SafetensorError):
        return False


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Keeps other races out of the folder while the block runs.

    Raises:
        UsageError: another race or training runs there.
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
        raise UsageError(f"another run is busy in {out}. Wait, or choose another --out.") from None
