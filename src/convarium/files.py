"""Where a user's files lie, how their names are told, and writing that leaves no half file."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from convarium.errors import ConvariumError, ExhaustedError, InputError


def home() -> Path:
    """The folder of the user's records and choices.

    $CONVARIUM_HOME, else convarium under $XDG_DATA_HOME, else ~/.local/share/convarium.
    """
    named, shared = os.environ.get("CONVARIUM_HOME"), os.environ.get("XDG_DATA_HOME")
    if named:
        return Path(named)
    if not shared:
        own = os.path.expanduser("~")
        # A user without a home, as in containers: the root, which such a user may not write to.
        shared = os.path.join("/" if own == "~" else own, ".local", "share")
    return Path(shared) / "convarium"


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with a leading ~ or ~user as that user's home; left as it is for unknown users.

    >>> expanded("~no_user_of_this_name/photos").as_posix()
    '~no_user_of_this_name/photos'
    """
    return Path(os.path.expanduser(path))


def printable(text: str) -> str:
    """The text with whatever a terminal would act on, or not show, written out.

    >>> printable("a\\nb \\x1b[31m")
    'a\\\\nb \\\\x1b[31m'
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def shown(path: str | os.PathLike[str]) -> str:
    """A path for people: one line, no control characters, bytes that are no UTF-8 as `\\xff`."""
    return printable(exact(path))


def exact(path: str | os.PathLike[str]) -> str:
    """A path for programs: as it is, but for bytes that are no UTF-8 and so no Unicode text."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it becomes `path` when the block ends well.

    The bytes are on disk before the name changes, so a reader sees the old file or the new one.

    Raises:
        ExhaustedError: the disk is full.
        InputError: it is a folder, or its folder cannot be written to.
    """
    path = Path(path)
    if path.name in ("", "..") or path.is_dir():
        raise InputError(f"{shown(path)} is a folder. Name a file in it.")
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not mkstemp: that gives a file which only its owner may read.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
        _to_disk(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def system_error(error: Exception) -> OSError:
    """The system's own error behind a library's, which tells its number in words alone.

    >>> system_error(ValueError("I/O error: No space left on device (os error 28)")).errno
    28
    """
    number = re.search(r"os error ([0-9]+)", str(error))
    if number is None:
        return OSError(str(error))
    return OSError(int(number[1]), os.strerror(int(number[1])))


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(path: Path, error: OSError) -> ConvariumError:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ExhaustedError(f"{path}: {reason}. Free some space or choose another folder.")
    return InputError(f"{path} cannot be written: {reason}. Choose another folder.")
