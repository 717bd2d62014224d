"""A row of a paper's table and a layer of ours, in the same words: equal words are agreement."""

from __future__ import annotations

from math import prod

from convarium.facts import LayerRow
from convarium.verify.network import Layer

WINDOWS = ("conv", "max_pool", "avg_pool", "subsample")
LAYERS = (*WINDOWS, "linear", "lrn", "rbf", "global_avg_pool")
JOINS = ("add", "concat", "mean")


def said(row: LayerRow, *, pads: bool = True) -> str:
    """The row in words: what its source prints and what follows from it."""
    window = row.kind in WINDOWS
    return _words(
        kind=row.kind,
        kernel=row.kernel if window else None,
        stride=row.stride if window else None,
        pad=row.pad if window and pads else None,
        groups=row.groups,
        output=_shape(row.output),
        params=row.params,
        macs=row.macs,
    )


def seen(row: LayerRow, layers: tuple[Layer, ...]) -> str:
    """Our layer in the same words; what the row does not print is left out of both."""
    first = layers[0]
    kind = _kind_for(row, first)
    window = kind in WINDOWS
    several = len(layers) > 1
    split = several and first.kind == "conv" and row.groups > 1
    output = _shape(first.output)
    if several and output:
        output = (sum(x.output[0] for x in layers), *output[1:])
    return _words(
        kind=kind,
        kernel=first.kernel if window and row.kernel is not None else None,
        stride=first.stride if window and row.stride is not None else None,
        pad=first.pad if window and row.pad is not None else None,
        groups=sum(x.groups for x in layers) if split else first.groups,
        output=output,
        params=sum(x.params for x in layers),
        macs=sum(x.macs for x in layers),
    )


def bare(layer: Layer) -> str:
    """Our layer in the words of `said(row, pads=False)`."""
    window = layer.kind in WINDOWS
    return _words(
        kind=layer.kind,
        kernel=layer.kernel if window else None,
        stride=layer.stride if window else None,
        pad=None,
        groups=layer.groups,
        output=_shape(layer.output),
        params=layer.params,
        macs=layer.macs,
    )


def _kind_for(row: LayerRow, layer: Layer) -> str:
    """An average pool over the whole map is a global one, and a row may call it either."""
    whole = layer.kind == "avg_pool" and layer.output[1:] == (1, 1)
    return row.kind if whole and row.kind == "global_avg_pool" else layer.kind


def _shape(output: tuple[int, ...]) -> tuple[int, ...]:
    """1x1 maps are values in a row: (1000, 1, 1) is (1000,)."""
    return (prod(output),) if output[1:] in ((1, 1), ()) else tuple(output)


def _words(
    *,
    kind: str,
    kernel: int | None,
    stride: int | None,
    pad: int | None,
    groups: int,
    output: tuple[int, ...],
    params: int,
    macs: int,
) -> str:
    """ "conv 3x3/1 pad 1 -> 64x224x224; 1,792 params, 86,704,128 MACs"."""
    window = "" if kernel is None else f" {kernel}x{kernel}/{stride}"
    padding = "" if pad is None else f" pad {pad}"
    grouping = "" if groups == 1 else f" groups {groups}"
    counts = f"; {params:,} params, {macs:,} MACs" if params or macs else ""
    return f"{kind}{window}{padding}{grouping} -> {'x'.join(map(str, output))}{counts}"
