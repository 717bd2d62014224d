"""What the page shows of each network, prepared once for table, charts and cards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from convarium import catalog, facts
from convarium.errors import UsageError
from convarium.facts import Paper
from convarium.records.model import Race, Result
from convarium.report.palette import dash, hue


@dataclass(frozen=True, slots=True)
class Entry:
    """One network of the race. `key` links its row, bubbles and lines; `paper` is None if unknown.

    `position` is its place in the line-up; `on_time_front` and `on_size_front` say that no other
    network beats it in accuracy and milliseconds, or accuracy and megabytes.
    """

    key: str
    position: int
    result: Result
    paper: Paper | None
    departures: tuple[str, ...]
    on_time_front: bool
    on_size_front: bool

    @property
    def model(self) -> str:
        return self.result.model

    @property
    def hue(self) -> str:
        return hue(self.position)

    @property
    def dash(self) -> list[int]:
        return dash(self.position)

    @property
    def top1(self) -> float | None:
        """Share of test pictures answered rightly; None when it could not be had."""
        correct, total = had(self.result, "top1_correct"), had(self.result, "top1_total")
        return correct / total if correct is not None and total else None


def entries(race: Race) -> list[Entry]:
    """The race's networks in line-up order."""
    return [
        Entry(
            key=f"n{position}",
            position=position,
            result=result,
            paper=_paper(result.model),
            departures=_departures(result.model),
            on_time_front=result.model in race.front_time,
            on_size_front=result.model in race.front_size,
        )
        for position, result in enumerate(race.results)
    ]


def had(result: Result, name: str) -> Any | None:
    """The field's value; None when it has a reason in `unavailable`, is None or not finite."""
    value = getattr(result, name)
    if name in result.unavailable or value is None:
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def reason(result: Result, *names: str) -> str:
    """Why a value could not be had: the recorded reason, else what the run's end tells."""
    for name in names:
        if name in result.unavailable:
            return result.unavailable[name].removeprefix("not available: ")
    return "not recorded" if result.status == "done" else f"the run is {result.status}"


def _paper(model: str) -> Paper | None:
    """The network's paper; a small-picture row beyond the papers has its family's."""
    try:
        row = catalog.find(model)
    except UsageError:
        return None
    family = facts.family_facts(row.family)
    entry = family.get(row.name) or next(iter(family.values()))
    return entry.paper


def _departures(model: str) -> tuple[str, ...]:
    try:
        return catalog.find(model).departures
    except UsageError:
        return ()
