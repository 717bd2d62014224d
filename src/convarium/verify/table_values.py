"""Values of a layer table, which strangers write: each is what its key means, or is refused."""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from typing import Any

_MOST = 10**15  # parameters, multiply-adds, pixels: no network has as many
_SHOWN = 40  # characters of a value that a message repeats


def integer(value: Any, what: str, least: int = 0) -> int:
    """A whole number from `least`; 3.0 is one, "3", true and infinity are not.

    Raises:
        ValueError: it is none, or too large for any network.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise ValueError(f"{what} of {_short(value)}")
    return value


def number(value: Any, what: str) -> float:
    """A finite number, not below 0.

    Raises:
        ValueError: it is none.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or value < 0:
        raise ValueError(f"{what} of {_short(value)}")
    return float(value)


def sides(values: Any) -> tuple[int, ...]:
    """Channels, or channels, height and width; kernels and strides too: all from 1.

    Raises:
        ValueError: no list, or a side that is no whole number from 1.
    """
    if not isinstance(values, (list, tuple)) or not values:
        raise ValueError(f"sides of {_short(values)}")
    return tuple(integer(value, "a side", 1) for value in values)


def pair(value: Any, what: str, least: int = 0) -> tuple[int, int]:
    """Of the height and of the width: two numbers, or one for both.

    Raises:
        ValueError: anything else.
    """
    values = value if isinstance(value, list) else [value]
    if len(values) not in (1, 2):
        raise ValueError(f"{what} of {_short(value)}")
    return integer(values[0], what, least), integer(values[-1], what, least)


def one_of(value: Any, known: Collection[Any], what: str) -> Any:
    """A word that stands among those known, or true or false.

    Raises:
        ValueError: it does not.
    """
    if not isinstance(value, (str, bool)) or value not in known:
        raise ValueError(f"{_short(value)} as {what}")
    return value


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else "no number"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}.."
