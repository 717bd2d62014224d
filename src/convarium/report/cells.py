"""The table of results: every number with its unit, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convarium.report.entries import Entry, had, reason


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the table. `sort` orders the column; None comes last either way."""

    text: str
    unit: str = ""
    detail: str = ""
    sort: float | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column whose cells come from elsewhere; a `Column` has the same."""

    head: str
    id: str = ""
    about: str = ""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what stands in its head, which way it sorts first, and its cell of a network."""

    id: str
    head: str
    about: str
    cell: Callable[[Entry], Cell]
    descending: bool = False


def metric(value: float, digits: int = 3) -> str:
    """The number with k, M or G behind it, at so many significant digits.

    >>> metric(138_357_544), metric(0.0123), metric(999_999)
    ('138 M', '0.0123', '1 M')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if float(f"{value:.{digits}g}") >= size:
            return f"{_plain(value / size, digits)} {letter}"
    return _plain(value, digits)


def _plain(value: float, digits: int) -> str:
    """No more digits than asked, thousands marked."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:.{digits}g}"


def number(
    field: str,
    unit: str,
    *,
    scale: float = 1.0,
    spread: str | None = None,
    short: bool = False,
) -> Callable[[Entry], Cell]:
    """Reads a field, divided by `scale`, with the quartiles in the field `spread` below it."""

    def cell(entry: Entry) -> Cell:
        value = had(entry.result, field)
        if value is None:
            return missing(entry, field)
        text = metric(value / scale) if short else _plain(value / scale, 3)
        quartiles = had(entry.result, spread) if spread else None
        detail = " to ".join(_plain(q, 3) for q in quartiles) if quartiles else ""
        if short and value >= 1000:
            detail = f"{value:,}"
        return Cell(text, unit, detail, sort=value)

    return cell


def missing(entry: Entry, *fields: str) -> Cell:
    """`not available`, and why."""
    return Cell(f"not available: {reason(entry.result, *fields)}", missing=True)


def _top(rank: int) -> Callable[[Entry], Cell]:
    def cell(entry: Entry) -> Cell:
        result = entry.result
        correct, total = had(result, f"top{rank}_correct"), had(result, "top1_total")
        if correct is None or not total:
            return missing(entry, f"top{rank}_correct", "top1_total")
        low, high = had(result, "top1_low"), had(result, "top1_high")
        detail = f"{correct} of {total}"
        if rank == 1 and low is not None and high is not None:
            detail += f"; {100 * low:.1f} to {100 * high:.1f}"
        return Cell(f"{100 * correct / total:.1f}", "%", detail, sort=correct / total)

    return cell


def _training(entry: Entry) -> Cell:
    seconds = had(entry.result, "train_seconds")
    if seconds is None:
        return missing(entry, "train_seconds")
    epochs = entry.result.epochs
    detail = f"{epochs} epoch{'' if epochs == 1 else 's'}, seed {entry.result.seed}"
    return Cell(_plain(seconds, 3), "s", detail, sort=seconds)


COLUMNS = (
    Column("top1", "Top-1", "Right first answers, with the Wilson 95 % interval", _top(1), True),
    Column("top5", "Top-5", "The truth is among the five likeliest answers", _top(5), True),
    Column(
        "params", "Parameters", "Numbers that training changes", number("params", "", short=True)
    ),
    Column("macs", "MACs", "Multiply-adds of one picture", number("macs", "MAC", short=True)),
    Column("size", "Weights", "float32 weights and buffers on disk", number("megabytes", "MB")),
    Column("train", "Training", "Wall-clock time, epochs and seed", _training),
    Column(
        "ms",
        "One picture",
        "Milliseconds at batch 1: median, and quartiles",
        number("ms_batch1", "ms", spread="ms_batch1_spread"),
    ),
    Column(
        "rate",
        "Throughput",
        "Pictures a second at batch 32: median, and quartiles",
        number("images_per_second", "images/s", spread="images_per_second_spread"),
        True,
    ),
    Column(
        "memory",
        "Peak memory",
        "Resident memory of training, above the start",
        number("peak_bytes", "MB", scale=1e6),
    ),
    Column(
        "energy",
        "Energy",
        "Of one picture",
        number("joules_per_image", "J"),
    ),
)


def table(entries: list[Entry]) -> list[tuple[Entry, list[Cell]]]:
    """Rows of the table, the most accurate network first, those without a result last."""
    ranked = sorted(entries, key=lambda entry: -(-1.0 if entry.top1 is None else entry.top1))
    return [(entry, [column.cell(entry) for column in COLUMNS]) for entry in ranked]
