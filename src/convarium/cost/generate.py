"""Writes the cost table from the networks: python -m convarium.cost.generate [NAME...].

Every network is built and traced on the meta device, which computes nothing.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import torch

from convarium import catalog
from convarium.cost.layers import layers_of
from convarium.cost.table import FOLDER, Layer, Repeat, Totals
from convarium.facts import model_facts
from convarium.nets.build import build
from convarium.trace import trace_anyhow


def entry(name: str) -> tuple[Totals, list[Layer | Repeat]]:
    """A network's totals at its native input, and its layers."""
    row = catalog.find(name)
    facts = model_facts(row.name)
    with torch.device("meta"):
        model = build(name)
    traced, _ = trace_anyhow(model, (1, *facts.input), mode=row.traced)
    items = layers_of(traced)
    flat = [layer for item in items for layer in _copies(item)]
    totals = Totals(
        family=row.family,
        year=facts.paper.year,
        task=row.task,
        input=facts.input,
        params=sum(layer.params for layer in flat),
        macs=sum(layer.macs for layer in flat),
    )
    return totals, items


def as_json(totals: Totals, items: list[Layer | Repeat]) -> tuple[dict[str, Any], str]:
    """The index's line, and the text of the network's own file."""
    lines = [json.dumps(_plain(item), separators=(",", ":")) for item in items]
    return asdict(totals), "[\n" + ",\n".join(lines) + "\n]\n"


def write(names: list[str], folder: Path) -> None:
    """Writes the files of `names` and the whole index; other networks keep their lines."""
    path = folder / "index.json"
    folder.mkdir(exist_ok=True)
    lines: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name in names:
        lines[name], text = as_json(*entry(name))
        (folder / f"{name}.json").write_text(text, "utf-8")
    order = [name for name in catalog.CATALOG if name in lines]
    rows = (f'"{name}": {json.dumps(lines[name])}' for name in order)
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n", "utf-8")


def _copies(item: Layer | Repeat) -> tuple[Layer, ...]:
    return (item,) if isinstance(item, Layer) else item.layers * item.times


def _plain(item: Layer | Repeat) -> list[Any]:
    if isinstance(item, Layer):
        return list(astuple(item))
    return [item.times, item.first, item.last, [list(astuple(layer)) for layer in item.layers]]


if __name__ == "__main__":
    write(
        [catalog.find(name).name for name in sys.argv[1:]] or [*catalog.CATALOG], Path(str(FOLDER))
    )
