"""The race's four firsts: most accurate, fastest, smallest, least training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convarium.report.entries import Entry, had


@dataclass(frozen=True, slots=True)
class Leader:
    """Who comes first in one respect, with the number; `others` share it exactly."""

    what: str
    value: str
    unit: str
    entry: Entry
    others: int


def leaders(entries: list[Entry]) -> list[Leader]:
    """The firsts among networks that have the number; a respect that none has is left out."""
    found = [
        _first("Most accurate", "% top-1", ".1f", entries, _percent, best=max),
        _first("Fastest", "ms a picture", ".3g", entries, _field("ms_batch1")),
        _first("Smallest", "MB of weights", ".3g", entries, _field("megabytes")),
        _first("Least training", "s", ".3g", entries, _field("train_seconds")),
    ]
    return [leader for leader in found if leader]


def _percent(entry: Entry) -> float | None:
    return None if entry.top1 is None else 100 * entry.top1


def _field(name: str) -> Callable[[Entry], float | None]:
    return lambda entry: None if entry.top1 is None else had(entry.result, name)


def _first(
    what: str,
    unit: str,
    form: str,
    entries: list[Entry],
    read: Callable[[Entry], float | None],
    *,
    best: Callable[..., float] = min,
) -> Leader | None:
    values = [(value, entry) for entry in entries if (value := read(entry)) is not None]
    if not values:
        return None
    top = best(value for value, _ in values)
    firsts = [entry for value, entry in values if value == top]
    return Leader(what, f"{top:{form}}", unit, firsts[0], len(firsts) - 1)
