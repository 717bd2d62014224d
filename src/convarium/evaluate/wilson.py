"""An interval for a share that was counted."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from convarium.errors import UsageError


def wilson_interval(right: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of the share right / total, two shares in [0, 1].

    Unlike the interval from the normal distribution it stays sensible near 0 and 1.

    Args:
        right: successes counted.
        total: trials, at least 1.
        confidence: in (0, 1).

    Raises:
        UsageError: no trials, or more successes than trials.

    Source:
        E. B. Wilson 1927; Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.

    >>> low, high = wilson_interval(81, 263)
    >>> round(low, 4), round(high, 4)
    (0.2553, 0.3662)
    """
    if total < 1 or not 0 <= right <= total:
        raise UsageError(f"{right} of {total} is no share; count at least one trial.")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / total
    centre = share + z * z / (2 * total)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # At the ends the exact bound is 0 or 1; rounding must not step over it.
    low = 0.0 if right == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if right == total else min(1.0, (centre + half) / scale)
    return low, high
