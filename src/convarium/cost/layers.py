"""A trace -> the layers a reader wants: those with weights, pools and joins, repeats told once."""

from __future__ import annotations

from math import prod

from convarium.cost.macs import macs_of
from convarium.cost.table import Layer, Repeat
from convarium.errors import times
from convarium.trace import Op, TensorSpec, TraceRow

_LONGEST_BLOCK = 64  # layers
_WORTH_FOLDING = 2  # lines saved
_JOINS = {"add": "add", "cat": "concat", "stack": "stack", "maximum": "maximum", "mul": "multiply"}
_NAMED = {"LocalResponseNorm": "lrn", "EuclideanRBF": "rbf"}


def layers_of(rows: list[TraceRow]) -> list[Layer | Repeat]:
    """The layers of a traced network; their parameters and MACs sum to the trace's totals.

    A normalisation of the layer just before is written on that layer's line.
    """
    flat: list[Layer] = []
    for row in rows:
        what = _what(row)
        if what is None:
            continue
        layer = _layer(row, what)
        if what == "bn" and flat and _takes_norm(flat[-1], layer):
            flat[-1] = _with_norm(flat[-1], layer)
        else:
            flat.append(layer)
    return _fold(flat)


def _layer(row: TraceRow, what: str) -> Layer:
    macs = macs_of(row)
    return Layer(row.name, what, row.output_shape[1:], row.params, macs, row.receptive_field)


def _what(row: TraceRow) -> str | None:
    """What a row is in a few words; None for those that a reader can do without."""
    if row.kind in _NAMED:
        return _NAMED[row.kind]
    for op in row.ops:
        words = _words(op, row)
        if words is not None:
            return words
    return row.kind.lower() if row.params else None


def _words(op: Op, row: TraceRow) -> str | None:
    if op.name == "convolution":
        return _convolution(op, row.output_shape[1])
    if op.name in ("addmm", "mm"):
        return "linear"
    if "batch_norm" in op.name:
        return "bn"
    if op.name in _JOINS:
        return _JOINS[op.name] if _joined(op) > 1 else None
    return _pool(op)


def _convolution(op: Op, width: int) -> str:
    """ "conv 3x3/2, 32 groups"; a dilation and a transposition are named too.

    Depthwise is a convolution with a group per channel whose output is the layer's own: LeNet-5's
    C3 sums its 60 groups to 16 maps.
    """
    weight, stride, dilation, groups = op.args[1], op.args[3], op.args[5], op.args[8]
    side = times(weight.shape[2:])
    step = f"/{stride[0]}" if stride[0] > 1 else ""
    per_channel = groups > 1 and groups == op.args[0].shape[1] == width
    many = f", {groups} groups" if groups > 1 and not per_channel else ""
    wide = f", dilation {dilation[0]}" if dilation[0] > 1 else ""
    kind = "transposed conv" if op.args[6] else "depthwise conv" if per_channel else "conv"
    return f"{kind} {side}{step}{many}{wide}"


def _pool(op: Op) -> str | None:
    if op.name == "mean" or op.name.startswith(("_adaptive_avg_pool", "adaptive_max_pool")):
        seen = op.args[0].shape
        if len(seen) != 4 or prod(op.outputs[0].shape[2:]) != 1:
            return None
        return "global max pool" if "max" in op.name else "global avg pool"
    for name, words in (("max_pool2d", "max pool"), ("avg_pool2d", "avg pool")):
        if op.name.startswith(name):
            side = op.args[1]
            stride = op.args[2] if len(op.args) > 2 and op.args[2] else side
            return f"{words} {'x'.join(map(str, side))}/{stride[0]}"
    return None


def _joined(op: Op) -> int:
    """How many different tensors with rows and columns, or batches of vectors, go in."""
    values = op.args[0] if isinstance(op.args[0], (list, tuple)) else op.args[:2]
    return sum(isinstance(value, TensorSpec) and len(value.shape) > 1 for value in values)


def _takes_norm(before: Layer, norm: Layer) -> bool:
    return before.macs > 0 and before.output == norm.output and "bn" not in before.what


def _with_norm(before: Layer, norm: Layer) -> Layer:
    what, params = f"{before.what}, bn", before.params + norm.params
    return Layer(before.name, what, before.output, params, before.macs, before.field)


def _fold(flat: list[Layer]) -> list[Layer | Repeat]:
    folded: list[Layer | Repeat] = []
    at = 0
    while at < len(flat):
        length, times = _best_repeat(flat, at)
        if times < 2:
            folded.append(flat[at])
            at += 1
            continue
        last = flat[at + length * (times - 1) : at + length * times]
        first = flat[at : at + length]
        path = _path(first)
        below = tuple(_below(layer, path) for layer in first)
        folded.append(Repeat(times, path, _path(last), below))
        at += length * times
    return folded


def _best_repeat(flat: list[Layer], at: int) -> tuple[int, int]:
    """Length and number of the copies that save the most lines from `at` on; (0, 1) for none."""
    best, saved = (0, 1), _WORTH_FOLDING - 1
    for length in range(2, min(_LONGEST_BLOCK, (len(flat) - at) // 2) + 1):
        if not _alike(flat[at], flat[at + length]):
            continue  # cheaper than comparing the blocks
        first = _shape(flat[at : at + length])
        if not first:
            continue
        times = 1
        while _shape(flat[at + length * times : at + length * (times + 1)]) == first:
            times += 1
        if length * (times - 1) > saved:
            best, saved = (length, times), length * (times - 1)
    return best


def _alike(a: Layer, b: Layer) -> bool:
    return (a.params, a.macs, a.output, a.what) == (b.params, b.macs, b.output, b.what)


def _shape(block: list[Layer]) -> tuple[tuple[object, ...], ...]:
    """What must be equal in two copies of a block; empty where the layers share no path."""
    path = _path(block)
    if not path:
        return ()
    named = (_below(layer, path) for layer in block)
    return tuple((n.name, n.what, n.output, n.params, n.macs) for n in named)


def _path(block: list[Layer]) -> str:
    """The longest path of modules that all layers of a block lie in."""
    parts = [layer.name.split(".")[:-1] for layer in block]
    common = []
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return ".".join(common)


def _below(layer: Layer, path: str) -> Layer:
    name = layer.name[len(path) + 1 :]
    return Layer(name, layer.what, layer.output, layer.params, layer.macs, layer.field)
