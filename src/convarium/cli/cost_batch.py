"""The answer of `convarium cost --max-batch`, and sizes of memory as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from convarium.cli.output import json_text
from convarium.cli.text import columns, shape
from convarium.cost.words import megabytes
from convarium.errors import UsageError

if TYPE_CHECKING:
    from convarium.cost.memory_fit import BatchFit

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_bytes(text: str) -> int:
    """Bytes of a text such as "8GB" (8,000,000,000) or "8GiB" (8 x 1024 x 1024 x 1024).

    Raises:
        UsageError: it has another form, or is less than one byte.

    >>> parse_bytes("512MB"), parse_bytes("1.5 GiB")
    (512000000, 1610612736)
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(i?)b?\s*", text.lower())
    if match is None or (match[3] and not match[2]):
        raise UsageError(f"--max-batch {text!r} is no size of memory; write 8GB, 8GiB or 512MB.")
    found = int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2]])
    if found < 1:
        raise UsageError(f"--max-batch {text!r} is less than one byte; write 8GB, 8GiB or 512MB.")
    return found


def fits_text(fits: Sequence[BatchFit], form: str) -> str:
    """The whole output, the last line ended.

    Args:
        fits: one a network.
        form: "table", "json", "csv" or "markdown".

    Raises:
        UsageError: another form.
    """
    if form == "json":
        dicts = [fit.to_dict() for fit in fits]
        return json_text(dicts[0] if len(dicts) == 1 else {"models": dicts})
    if form == "csv":
        from convarium.cost.formats import csv_of

        return csv_of([f.name for f in fields(fits[0])], fits)
    if form not in ("table", "markdown"):
        raise UsageError(f"--max-batch has no {form}; take table, json, csv or markdown.")
    header = ["network", "picture", "limit", "step", "largest batch", "peak", "note"]
    rows = [_cells(fit) for fit in fits]
    if form == "table":
        return columns(header, rows, right="llrlrrl") + "\n"
    from convarium.cost.formats import as_markdown

    return as_markdown(header, rows, "llrlrrl")


def _cells(fit: BatchFit) -> list[str]:
    from convarium.cost.memory_fit import MOST

    what = f"training, {fit.optimizer}" if fit.training else "inference"
    notes = []
    if fit.max_batch == 0:
        notes.append("two pictures are" if fit.least_batch == 2 else "one picture is")
        notes[0] += " too many"
    if fit.least_batch == 2:
        notes.append("takes no picture alone")
    if fit.max_batch == MOST:
        notes.append("more are not tried")
    if fit.traced_on == "cpu":
        notes.append("reads values: run on batches up to 4, carried on by a line")
    return [
        fit.name,
        shape(fit.input_size),
        megabytes(fit.limit_bytes),
        f"{what}, {fit.precision}",
        f"{fit.max_batch:,}",
        megabytes(fit.peak_bytes),
        "; ".join(notes),
    ]
