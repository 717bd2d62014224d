"""The shipped cost table: every network's totals and layers, read without torch.

`python -m convarium.cost.generate` writes it from the networks themselves; a test checks that it
is fresh. A row holds one layer with its normalisation; blocks that repeat are stored once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from convarium.errors import UsageError

FOLDER = resources.files("convarium.cost") / "tables"


@dataclass(frozen=True, slots=True)
class Totals:
    """A network's line in the index. `macs` are multiply-adds at `input` (C, H, W), batch 1."""

    family: str
    year: int
    task: str
    input: tuple[int, ...]
    params: int
    macs: int


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer with weights, one pool or one join; `field` is a side in input pixels.

    `output` has no batch axis. `field` is None where the layer sees the whole picture.
    """

    name: str
    what: str
    output: tuple[int, ...]
    params: int
    macs: int
    field: int | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """A block that occurs `times` times in a row, from the path `first` to the path `last`.

    `layers` are those of the first copy, their names below its path; every copy has the same
    shapes, parameters and MACs. The receptive fields are the first copy's.
    """

    times: int
    first: str
    last: str
    layers: tuple[Layer, ...]


@cache
def index() -> dict[str, Totals]:
    """Every network's totals by name, in the catalog's order."""
    raw = json.loads((FOLDER / "index.json").read_text("utf-8"))
    return {name: Totals(**{**row, "input": tuple(row["input"])}) for name, row in raw.items()}


def totals(name: str) -> Totals:
    """The index's line of one network.

    Raises:
        UsageError: the table has no such network.
    """
    if name not in index():
        raise _missing(name)
    return index()[name]


def layers(name: str) -> tuple[Layer | Repeat, ...]:
    """The layers of one network, in the order of the forward pass.

    Raises:
        UsageError: the table has no such network.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        raise _missing(name)
    return tuple(_item(raw) for raw in json.loads(path.read_text("utf-8")))


def unfolded(items: tuple[Layer | Repeat, ...]) -> list[Layer]:
    """One entry a layer of the network; the copies of a block repeat the first one's rows."""
    flat: list[Layer] = []
    for item in items:
        flat += [item] if isinstance(item, Layer) else item.layers * item.times
    return flat


def _missing(name: str) -> UsageError:
    return UsageError(f"the cost table has no {name}. Write it: python -m convarium.cost.generate")


def _item(raw: list[Any]) -> Layer | Repeat:
    if isinstance(raw[0], int):
        times, first, last, inner = raw
        return Repeat(times, first, last, tuple(_layer(row) for row in inner))
    return _layer(raw)


def _layer(raw: list[Any]) -> Layer:
    name, what, output, params, macs, field = raw
    return Layer(name, what, tuple(output), params, macs, field)
