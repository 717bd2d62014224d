"""A block of a network drawn from the rows of its paper's table: SVG, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonpath

from convarium.errors import UsageError
from convarium.facts import LayerRow, layer_rows
from convarium.report.boxes import Box, svg

_JOINS = {"add": "+", "concat": "concatenate", "mean": "mean"}
_WORDS = {
    "max_pool": "max pool",
    "avg_pool": "average pool",
    "global_avg_pool": "global average pool",
    "subsample": "sub-sampling",
    "lrn": "response normalisation",
    "rbf": "radial basis functions",
    "linear": "fully connected",
}


def block_svg(network: str, *prefixes: str) -> str:
    """The rows of a network whose names begin with one of `prefixes`, as the text of an SVG file.

    Raises:
        UsageError: no such network has rows, or none of its rows begins so.
    """
    rows = [row for row in layer_rows(network) if row.name.startswith(prefixes)]
    if not rows:
        raise UsageError(f"{network}: no row begins with {' or '.join(prefixes)}.")
    boxes = [*_sources(network, rows), *(_box(row, rows) for row in rows)]
    edges = [(source, row.name) for row in rows for source in row.inputs]
    return svg(boxes, edges, title=f"{network}: {rows[0].name} to {rows[-1].name}")


def _sources(network: str, rows: Sequence[LayerRow]) -> list[Box]:
    """What the block reads: rows before it, or the picture."""
    inside = {row.name for row in rows}
    known = {row.name: row.output for row in layer_rows(network)}
    read = dict.fromkeys(name for row in rows for name in row.inputs if name not in inside)
    return [
        Box(name, (name, _shape(known.get(name, rows[0].input))), "s5", plain=True) for name in read
    ]


def _box(row: LayerRow, rows: Sequence[LayerRow]) -> Box:
    if row.kind in _JOINS:
        return Box(row.name, (_JOINS[row.kind], _shape(row.output)), "s3")
    return Box(row.name, (_short(row.name, rows), _words(row), _shape(row.output)), _hue(row))


def _short(name: str, rows: Sequence[LayerRow]) -> str:
    """The name below the path that all rows share."""
    shared = commonpath([row.name for row in rows]) if len(rows) > 1 else ""
    return name[len(shared) + 1 :] if shared else name


def _words(row: LayerRow) -> str:
    """Kernel, kind and stride.

    >>> _words(layer_rows("mobilenet_v1_100_224")[3])
    '3x3 depthwise, stride 2'
    """
    size = "" if row.kernel is None else f"{row.kernel}x{row.kernel} "
    step = f", stride {row.stride}" if row.stride not in (None, 1) else ""
    if row.kind != "conv":
        return f"{size}{_WORDS[row.kind]}{step}"
    if _is_depthwise(row):
        return f"{size}depthwise{step}"
    grouping = f", {row.groups} groups" if row.groups > 1 else ""
    return f"{size}convolution{step}{grouping}"


def _is_depthwise(row: LayerRow) -> bool:
    return row.groups > 1 and row.groups == row.input[0] == row.output[0]


def _hue(row: LayerRow) -> str:
    """One colour for each sort of work: 1x1, wider, grouped, pooling, the rest."""
    if row.kind != "conv":
        return "s4" if "pool" in row.kind or row.kind == "subsample" else "s5"
    if row.groups > 1:
        return "s2"
    return "s0" if row.kernel == 1 else "s1"


def _shape(output: tuple[int, ...]) -> str:
    """Maps x height x width."""
    return " x ".join(map(str, output))
