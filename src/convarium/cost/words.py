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


def megabytes(value: int | None) -> str:
    """In MB of 1,000,000 bytes, smaller units below 0.01 MB, "?" where it is not known.

    >>> [megabytes(n) for n in (0, 40, 3_136, 24_680, 1_234_567_890)]
    ['0 B', '40 B', '3.14 kB', '0.02 MB', '1,234.57 MB']
    """
    if value is None:
        return "?"
    if value < 1000:
        return f"{value} B"
    return f"{value / 1e3:.2f} kB" if value < 9995 else f"{value / 1e6:,.2f} MB"


def shape(sides: Sequence[int]) -> str:
    """Channels by height by width.

    >>> shape((64, 112, 112))
    '64 x 112 x 112'
    """
    return " x ".join(map(str, sides))


def _three_digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
