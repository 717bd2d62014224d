"""A row of a paper's table and a layer of ours, in the same words: equal words are agreement."""

from __future__ import annotations

from math import prod

from convarium.facts import LayerRow
from convarium.verify.network import Layer

WINDOWS = ("conv", "max_pool", "avg_pool", "subsample")
LAYERS = (*WINDOWS, "linear", "lrn", "rbf", "global_avg_pool")
JOINS = ("add", "concat", "mean")
Window = tuple[int | None, int | None, int | None]  # kernel, stride, pad, where they are said


def said(row: LayerRow, *, pads: bool = True) -> str:
    """The row in words: what its source prints and what follows from it."""
    window: Window = (None, None, None)
    if row.kind in WINDOWS:
        window = (row.kernel, row.stride, row.pad if pads else None)
    return _words(row.kind, window, row.groups, _shape(row.output), (row.params, row.macs))


def seen(row: LayerRow, layers: tuple[Layer, ...]) -> str:
    """Our layer in the same words; what the row does not print is left out of both."""
    first = layers[0]
    kind = _kind_for(row, first)
    groups, output = first.groups, _shape(first.output)
    if len(layers) > 1:
        output = (sum(x.output[0] for x in layers), *output[1:])
        groups = len(layers) * groups if first.kind == "conv" and row.groups > 1 else groups
    window: Window = (None, None, None)
    if kind in WINDOWS:
        window = (
            None if row.kernel is None else first.kernel,
            None if row.stride is None else first.stride,
            None if row.pad is None else first.pad,
        )
    counts = (sum(x.params for x in layers), sum(x.macs for x in layers))
    return _words(kind, window, groups, output, counts)


def bare(layer: Layer) -> str:
    """Our layer in the words of `said(row, pads=False)`."""
    window: Window = (None, None, None)
    if layer.kind in WINDOWS:
        window = (layer.kernel, layer.stride, None)
    counts = (layer.params, layer.macs)
    return _words(layer.kind, window, layer.groups, _shape(layer.output), counts)


def _kind_for(row: LayerRow, layer: Layer) -> str:
    """An average pool over the whole map is a global one, and a row may call it either."""
    whole = layer.kind == "avg_pool" and layer.output[1:] == (1, 1)
    return row.kind if whole and row.kind == "global_avg_pool" else layer.kind


def _shape(output: tuple[int, ...]) -> tuple[int, ...]:
    """1x1 maps are values in a row: (1000, 1, 1) is (1000,)."""
    return (prod(output),) if output[1:] in ((1, 1), ()) else tuple(output)


def _words(
    kind: str, window: Window, groups: int, output: tuple[int, ...], counts: tuple[int, int]
) -> str:
    """ "conv 3x3/1 pad 1 -> 64x224x224; 1,792 params, 86,704,128 MACs"."""
    kernel, stride, pad = window
    size = "" if kernel is None else f" {kernel}x{kernel}"
    step = "" if stride is None else f"/{stride}"
    padding = "" if pad is None else f" pad {pad}"
    grouping = "" if groups == 1 else f" groups {groups}"
    price = f"; {counts[0]:,} params, {counts[1]:,} MACs" if any(counts) else ""
    return f"{kind}{size}{step}{padding}{grouping} -> {'x'.join(map(str, output))}{price}"
