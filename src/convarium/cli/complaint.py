"""Any exception -> one line for stderr and an exit code."""

from __future__ import annotations

import errno

import typer

from convarium.errors import (
    ConvariumError,
    ExhaustedError,
    InputError,
    StoppedError,
    is_out_of_memory,
)
from convarium.files import printable, shown

# Typer carries its own click since 0.27 and the real one before: both have this ancestor.
_ClickUsageError: type[Exception] = typer.BadParameter.__mro__[1]
_ClickException: type[Exception] = _ClickUsageError.__mro__[1]
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
INTERRUPTED, INTERNAL = 130, 70


def complaint(error: BaseException) -> tuple[str, int]:
    """What to say of an exception, in one line, and the exit code that goes with it.

    >>> complaint(MemoryError())
    ('error: out of memory. Use a smaller batch, picture or network.', 5)
    """
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        kept = _line(error) if isinstance(error, KeyboardInterrupt) else ""
        return f"interrupted. {kept}" if kept else "interrupted", INTERRUPTED
    if isinstance(error, StoppedError):
        return _line(error), error.exit_code
    text, exit_code = _text(error)
    return f"error: {text}", exit_code


def _text(error: BaseException) -> tuple[str, int]:
    if isinstance(error, ConvariumError):
        return _line(error), error.exit_code
    if isinstance(error, _ClickException):
        return _usage(error), getattr(error, "exit_code", 2)
    if is_out_of_memory(error):
        text = "out of memory. Use a smaller batch, picture or network."
        return text, ExhaustedError.exit_code
    if isinstance(error, OSError) and (told := _of_system(error)):
        return told
    inside = f"{type(error).__name__}: {_line(error)}"
    return f"{inside} (a fault of convarium's own; --debug shows the traceback)", INTERNAL


def _of_system(error: OSError) -> tuple[str, int] | None:
    """What the system complains of; None where it says neither what nor where."""
    if error.errno in _NO_ROOM:
        where = f" at {shown(error.filename)}" if error.filename else ""
        return f"no room left on the disk{where}.", ExhaustedError.exit_code
    if error.filename is not None:
        return f"{shown(error.filename)}: {error.strerror}", InputError.exit_code
    if error.errno == errno.ENOENT:  # os.getcwd names no file
        return "the folder that you are in is gone. Change to another one.", InputError.exit_code
    return None


def _line(error: BaseException) -> str:
    return printable(" ".join(str(error).split()))


def _usage(error: Exception) -> str:
    """Click's message, with the closest option where one was misspelt, and where to look."""
    options = getattr(error, "possibilities", None)
    if options:
        text = f"no such option: {getattr(error, 'option_name', '?')}. Did you mean "
        text += f"{' or '.join(sorted(options))}?"
    else:
        message = getattr(error, "format_message", lambda: str(error))()
        text = " ".join(message.split())
        text = text[:1].lower() + text[1:]
    text += "" if text.endswith((".", "?", "!")) else "."
    context = getattr(error, "ctx", None)
    return f"{text} See {context.command_path} --help" if context else text
