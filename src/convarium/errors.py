"""What goes wrong by the user's hand: one sentence each, and the exit code of the command."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConvariumError(Exception):
    """An expected failure; its text names the value, the rule and the way out, in one line."""

    exit_code = 3


class UsageError(ConvariumError):
    """The call's words are off: an unknown name, an option out of range (exit code 2)."""

    exit_code = 2


class InputError(ConvariumError):
    """What was handed in is unusable: a picture, a folder, a weight file (exit code 3)."""

    exit_code = 3


class MissingExtraError(ConvariumError):
    """A library of an extra is not installed (exit code 4)."""

    exit_code = 4

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(f"{need}. Install it with: pip install 'convarium[{extra}]'")


class ExhaustedError(ConvariumError):
    """Memory or disk ran out (exit code 5)."""

    exit_code = 5


class StoppedError(ConvariumError):
    """A signal stopped the work, and what is needed to go on is kept (exit code 75)."""

    exit_code = 75


def is_out_of_memory(error: BaseException) -> bool:
    """True for Python's error and for torch's, which is told by its words without importing it.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."))
    True
    """
    words = ("can't allocate memory", "out of memory", "not enough memory")
    by_torch = isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    return isinstance(error, MemoryError) or by_torch


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that does not exist, with the closest names that do.

    >>> str(unknown_name("network", "vgg_d1", ["vgg_a", "vgg_d", "zfnet"]))
    "no network is named 'vgg_d1'. Did you mean vgg_d or vgg_a?"
    """
    known = list(known)
    longer = [other for other in known if name and other.startswith(name)]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    close = list(dict.fromkeys([*longer, *near]))[:3]
    hint = f" Did you mean {_either(close)}?" if close else f" Known: {_some(known) or 'none'}."
    return UsageError(f"no {kind} is named {name!r}.{hint}")


def times(sides: Iterable[object]) -> str:
    """A shape as messages have it.

    >>> times((64, 3, 7, 7)), times(())
    ('64x3x7x7', 'one number')
    """
    return "x".join(map(str, sides)) or "one number"


def counted(count: int, what: str) -> str:
    """A number and what it counts, in the plural where that is due.

    >>> counted(1, "note"), counted(2000, "note")
    ('1 note', '2,000 notes')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _either(names: list[str]) -> str:
    """ "a", "a or b", "a, b or c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def first_words(error: BaseException) -> str:
    """What an error says, in one line: of torch's lists of all its backends the head alone.

    >>> first_words(RuntimeError("Could not run 'a' with 'b'. This could be because ... [CPU, ..."))
    "Could not run 'a' with 'b'."
    """
    words = " ".join(str(error).split())
    return words.partition(" This could be because")[0]


def said(error: BaseException) -> str:
    """Its first words, with its kind where they alone say little, as those of a KeyError.

    >>> said(KeyError("boxes")), said(ValueError("too small")), said(AssertionError())
    ("KeyError 'boxes'", 'too small', 'AssertionError')
    """
    words = first_words(error)
    return words if " " in words else f"{type(error).__name__} {words}".rstrip()
