"""Records beside each other: the page's sibling of a race's report, and the bubble chart alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from convarium.records import Record, Result
from convarium.report.bubbles import macs_chart, time_chart
from convarium.report.cells import Head
from convarium.report.drawing import Drawing, unchecked
from convarium.report.entries import Entry
from convarium.report.page import render

MOST = 40  # bubbles that a chart shows legibly
_TAKEN = (
    *("model", "status", "top1_correct", "top1_total", "top1_low", "top1_high"),
    *("params", "macs", "ms_batch1", "megabytes", "train_seconds"),
)


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts of one data set's records. `words` say which records they show."""

    data: str
    words: str
    drawings: tuple[Drawing, ...]
    keys: dict[tuple[str, str], str]  # (run, network) -> what links its bubble and its row


def charts_of(records: Sequence[Record]) -> list[Charts]:
    """For each data set, accuracy against multiply-adds and against milliseconds.

    Up to 40 records of a data set are all shown; of more, the newest of each network.
    """
    with unchecked():
        drawn = [
            _charts(data, place, [r for r in records if r.data == data and r.top1 is not None])
            for place, data in enumerate(sorted({one.data for one in records}))
        ]
    return [charts for charts in drawn if charts.drawings]


def comparison_page(
    records: Sequence[Record],
    heads: Sequence[str],
    cells: Sequence[Sequence[tuple[str, Any]]],
    command: str,
) -> str:
    """The HTML of a comparison; it opens from disk and asks nothing of any network.

    Args:
        records: in the order of the table.
        heads: of the table's columns.
        cells: of each record: its text and what it sorts by, None where a value is missing.
        command: repeats the comparison.
    """
    charts = charts_of(records)
    keys = {name: key for one in charts for name, key in one.keys.items()}
    rows = [
        {"key": keys.get((one.run, one.model), ""), "cells": line}
        for one, line in zip(records, cells, strict=True)
    ]
    drawings = [drawing for one in charts for drawing in one.drawings]
    told = {"rows": rows, "heads": [Head(head) for head in heads]}
    return render("compare.html", drawings, **told, charts=charts, command=command)


def _charts(data: str, place: int, records: list[Record]) -> Charts:
    newest = {one.model: one for one in sorted(records, key=lambda one: (one.at, one.run))}
    shown = records if len(records) <= MOST else [*newest.values()][:MOST]
    words = f"All {len(records)} records."
    if len(shown) < len(records):
        words = f"The newest record of each of {len(shown)} networks, of {len(records)} records."
    for what, field in (("count of MACs", "macs"), ("time", "ms_batch1")):
        without = sum(getattr(one, field) is None for one in shown)
        if without:
            words += f" {without} without a {what} cannot stand in its chart."
    machines = sorted({one.machine for one in shown if one.machine})
    if len(machines) > 1:
        words += f" Times are of {len(machines)} machines: {', '.join(machines)}."
    entries = _entries(place, shown)
    drawn = (macs_chart(entries), time_chart(entries))
    titles = ("Accuracy against computation", "Accuracy against time")
    named = tuple(
        replace(one, name=f"{one.name}-{place}", title=title)
        for one, title in zip(drawn, titles, strict=True)
        if one
    )
    keys = {(a.run, a.model): b.key for a, b in zip(shown, entries, strict=True)}
    return Charts(data, words, named, keys)


def _entries(place: int, records: list[Record]) -> list[Entry]:
    times = Counter(one.model for one in records)
    entries = []
    for position, one in enumerate(records):
        taken: dict[str, Any] = dict.fromkeys(Result.__dataclass_fields__)
        taken |= {name: getattr(one, name) for name in _TAKEN} | {"unavailable": {}}
        if times[one.model] > 1:
            taken["model"] = f"{one.model} {one.run[-6:]}"
        key = f"d{place}n{position}"
        entries.append(Entry(key, position, Result(**taken), None, (), False, False))
    return entries
