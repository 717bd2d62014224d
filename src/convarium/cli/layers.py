"""The table of layers that `show` and `cost` print."""

from __future__ import annotations

from convarium.cli.text import columns, shape, short
from convarium.cost.table import Layer, Repeat

_HEADER = ("layer", "what", "output", "params", "MACs", "field")


def layer_table(items: tuple[Layer | Repeat, ...]) -> str:
    """One line a layer; a block that repeats is told once, with its number of copies.

    `field` is the side of the receptive field in input pixels; "all" is the whole picture.
    """
    rows: list[tuple[str, ...]] = []
    for item in items:
        if isinstance(item, Layer):
            rows.append(_cells(item, item.name))
            continue
        rows.append((f"{item.first} .. {_tail(item)}: {item.times} times", *[""] * 5))
        rows += [_cells(layer, f"    {layer.name}") for layer in item.layers]
    return columns(_HEADER, rows, right="lllrrr", indent=2)


def _tail(item: Repeat) -> str:
    """The last copy's path without what it shares with the first's."""
    first, last = item.first.split("."), item.last.split(".")
    shared = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return ".".join(last[shared:])


def _cells(layer: Layer, name: str) -> tuple[str, ...]:
    counts = (short(layer.params) if layer.params else "", short(layer.macs) if layer.macs else "")
    field = "all" if layer.field is None else str(layer.field)
    return (name, layer.what, shape(layer.output), *counts, field)
