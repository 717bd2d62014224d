"""The largest batch that fits in so many bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from convarium.cost.memory import memory_of
from convarium.cost.step import TRAINING, Step
from convarium.errors import InputError, UsageError

MOST = 1 << 24  # pictures; more are not tried
_MOST_FOR_REAL = 4  # pictures that a network which reads values is run on


@dataclass(frozen=True, slots=True)
class BatchFit:
    """The largest batch of a network in so many bytes.

    `least_batch` is the smallest that the network takes: 2 where its batch norm sees one value a
    channel of each picture. `peak_bytes` are predicted at `max_batch`, or at `least_batch` where
    that is 0. `traced_on` is "meta", or "cpu" where the network reads values: the peaks of small
    batches were then carried on by a straight line.
    """

    name: str
    input_size: tuple[int, ...]
    limit_bytes: int
    training: bool
    optimizer: str | None
    precision: str
    max_batch: int
    peak_bytes: int
    traced_on: str
    least_batch: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as the command line prints them with --json."""
        return asdict(self)


def fit_of(
    model: nn.Module,
    input_size: tuple[int, ...],
    *,
    name: str,
    limit_bytes: int,
    step: Step = TRAINING,
    mode: str | None = None,
) -> BatchFit:
    """Searches the largest batch of `model` whose predicted peak fits in `limit_bytes`.

    Args:
        model: any module that takes one picture.
        input_size: (C, H, W).
        name: for the result.
        limit_bytes: what there is.
        step: training or inference, optimizer and precision.
        mode: of the forward pass, "train" or "eval"; follows `step` when None.

    Raises:
        UsageError: the limit is not positive.
        InputError: the forward pass fails.
    """
    known: dict[int, int] = {}
    ways: set[str] = set()

    def peak(batch_size: int) -> int:
        if batch_size in known:
            return known[batch_size]
        if "cpu" in ways and batch_size > _MOST_FOR_REAL:
            low, high = peak(_MOST_FOR_REAL // 2), peak(_MOST_FOR_REAL)
            each = (high - low) / (_MOST_FOR_REAL - _MOST_FOR_REAL // 2)
            return int(high + each * (batch_size - _MOST_FOR_REAL))
        report = memory_of(
            model, input_size, name=name, batch_size=batch_size, step=step, mode=mode
        )
        ways.add(report.traced_on)
        return known.setdefault(batch_size, report.peak_bytes)

    least = _least_batch(peak)
    most = largest_batch(peak, limit_bytes, least)
    return BatchFit(
        name=name,
        input_size=tuple(input_size),
        limit_bytes=limit_bytes,
        training=step.training,
        optimizer=step.optimizer if step.training else None,
        precision=step.precision,
        max_batch=most,
        peak_bytes=peak(max(least, most)),
        traced_on=next((way for way in ("cpu", "fake") if way in ways), "meta"),
        least_batch=least,
    )


def _least_batch(peak: Callable[[int], int]) -> int:
    """1, or 2 for a network that takes no picture alone.

    Raises:
        InputError: it takes two no more than one.
    """
    try:
        peak(1)
    except InputError as error:
        try:
            peak(2)
        except InputError:
            raise error from None
        return 2
    return 1


def largest_batch(peak: Callable[[int], int], limit_bytes: int, least: int = 1) -> int:
    """The largest batch with `peak(batch) <= limit_bytes`, 0 when `least` pictures are too many.

    The peak of a network is the largest of a few straight lines in the batch: two predictions give
    a line, it gives the next guess, and the guesses close in until neighbours differ.

    Args:
        peak: bytes at a batch; grows with it.
        limit_bytes: what there is.
        least: the smallest batch to try.

    Raises:
        UsageError: the limit is not positive.

    >>> largest_batch(lambda n: 1000 + 30 * n, 2000)
    33
    """
    if limit_bytes < 1:
        raise UsageError(f"a limit of {limit_bytes} bytes holds nothing; give 1 or more.")
    low, low_bytes = least, peak(least)
    if low_bytes > limit_bytes:
        return 0
    high, high_bytes = least + 1, peak(least + 1)
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
