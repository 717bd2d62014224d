"""The largest batch that fits in so many bytes."""

from __future__ import annotations

from collections.abc import Callable

from convarium.errors import UsageError

MOST = 1 << 24  # pictures; no one asks for more


def largest_batch(peak: Callable[[int], int], limit_bytes: int) -> int:
    """The largest batch with `peak(batch) <= limit_bytes`, 0 when one picture is too many.

    The peak of a network is the largest of a few straight lines in the batch: two predictions give
    a line, it gives the next guess, and the guesses close in until neighbours differ.

    Args:
        peak: bytes at a batch; grows with it.
        limit_bytes: what there is.

    Raises:
        UsageError: the limit is not positive.

    >>> largest_batch(lambda n: 1000 + 30 * n, 2000)
    33
    """
    if limit_bytes < 1:
        raise UsageError(f"a limit of {limit_bytes} bytes holds nothing; give 1 or more.")
    low, low_bytes = 1, peak(1)
    if low_bytes > limit_bytes:
        return 0
    high, high_bytes = 2, peak(2)
    while high_bytes <= limit_bytes:
        if high == MOST:
            return MOST
        guess = max(2 * high, _on_line(low, low_bytes, high, high_bytes, limit_bytes) + 1)
        low, low_bytes, high = high, high_bytes, min(guess, MOST)
        high_bytes = peak(high)
    while high - low > 1:
        guess = _on_line(low, low_bytes, high, high_bytes, limit_bytes)
        middle = min(max(guess, low + 1), high - 1)
        nbytes = peak(middle)
        if nbytes <= limit_bytes:
            low, low_bytes = middle, nbytes
        else:
            high, high_bytes = middle, nbytes
    return low


def _on_line(low: int, low_bytes: int, high: int, high_bytes: int, limit: int) -> int:
    """The batch at which the line through two predictions reaches the limit."""
    slope = (high_bytes - low_bytes) / (high - low)
    return low + int((limit - low_bytes) / slope) if slope > 0 else MOST
