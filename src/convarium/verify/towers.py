"""AlexNet's two towers, told as the one column that every other source writes: with two groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from convarium.verify.unit import WEIGHTED, Unit

_TOWER = re.compile(r"^tower(\d)\.")


def one_column(units: Sequence[Unit]) -> tuple[Unit, ...]:
    """Units of two towers side by side as one column; any other network's as they are.

    A layer of one tower and its twin become one of twice the filters. It has two groups when each
    sees its own tower's maps alone. What joined the towers' maps has no counterpart and goes.
    """
    twins = {unit.name: unit for unit in units if unit.name.startswith("tower2.")}
    if not twins or not all(_twin(name) in {u.name for u in units} for name in twins):
        return tuple(units)
    column: list[Unit] = []
    width = 0  # of the maps that reach the next layer, both towers together
    for unit in units:
        if unit.name in twins or (unit.kind == "concat" and unit.channels == width):
            continue
        twin = twins.get(_TOWER.sub("tower2.", unit.name)) if _TOWER.match(unit.name) else None
        column.append(_both(unit, twin, width) if twin else unit)
        width = column[-1].channels or 0
    return tuple(column)


def _twin(name: str) -> str:
    return _TOWER.sub("tower1.", name)


def _both(unit: Unit, twin: Unit, width: int) -> Unit:
    settings: dict[str, Any] = dict(unit.settings)
    is_split = settings.get("in") is not None and 2 * settings["in"] == width
    if unit.kind in WEIGHTED:
        settings["filters"] += twin.settings["filters"]
    if unit.kind == "conv" and is_split:
        settings |= {"groups": 2 * settings["groups"], "in": width}
    if unit.kind == "lrn":
        settings["over"] = "own half of the maps"
    return replace(
        unit,
        name=_TOWER.sub("tower1+2.", unit.name),
        output=(unit.output[0] + twin.output[0], *unit.output[1:]),
        params=unit.params + twin.params,
        macs=unit.macs + twin.macs,
        bias_params=unit.bias_params + twin.bias_params,
        settings=settings,
    )
