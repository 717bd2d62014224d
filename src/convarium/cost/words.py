"""Counts and shapes as people write them. No torch."""

from __future__ import annotations

from collections.abc import Sequence


def short(count: float) -> str:
    """A count in three digits.

    >>> [short(n) for n in (650, 61706, 138357544, 4089184256)]
    ['650', '61.7 k', '138 M', '4.09 G']
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size * 0.9995:
            return f"{_three_digits(count / size)} {unit}"
    return f"{count:g}"


def shape(sides: Sequence[int]) -> str:
    """Channels by height by width.

    >>> shape((64, 112, 112))
    '64 x 112 x 112'
    """
    return " x ".join(map(str, sides))


def _three_digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
