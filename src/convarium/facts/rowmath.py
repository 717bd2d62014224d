"""Sizes, parameters and multiply-adds of one row, from its table entries and its input's shape."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from convarium.facts.rowline import Layer, read_width

Shape = tuple[int, ...]
WEIGHTED = ("conv", "linear")
POOLS = ("max_pool", "avg_pool", "subsample")
SAME_SHAPE = ("lrn",)
JOINS = ("add", "mean", "concat")
KINDS = (*WEIGHTED, *POOLS, *SAME_SHAPE, *JOINS, "global_avg_pool", "rbf")


def side_out(side: int, kernel: int, stride: int, pad: int, *, ceil: bool = False) -> int:
    """Length of one side behind a sliding window, in pixels.

    Rounded up, a last window that would begin in the padding is left out (Caffe).

    >>> side_out(227, 11, 4, 0), side_out(112, 3, 2, 0, ceil=True)
    (55, 56)
    """
    room = side + 2 * pad - kernel
    if not ceil:
        return room // stride + 1
    steps = -(-room // stride)
    return steps if pad and steps * stride >= side + pad else steps + 1


def joined(kind: str, shapes: Sequence[Shape], *, padded: bool = False) -> Shape:
    """Shape behind a join, or the one input of any other kind.

    Args:
        kind: of the row.
        shapes: of its inputs.
        padded: the last input is a padded shortcut: fewer maps, the same or twice the sides.

    Raises:
        ValueError: the shapes do not fit together.
    """
    first = shapes[0]
    if kind == "concat":
        if {shape[1:] for shape in shapes} != {first[1:]}:
            raise ValueError(f"cannot concatenate {shapes}")
        return (sum(shape[0] for shape in shapes), *first[1:])
    if kind in JOINS:
        same = shapes[:-1] if padded else shapes
        if set(same) != {first} or (padded and not _option_a(first, shapes[-1])):
            raise ValueError(f"cannot add {shapes}")
    elif len(shapes) != 1:
        raise ValueError(f"{kind} takes one input, not {len(shapes)}")
    return first


def _option_a(main: Shape, shortcut: Shape) -> bool:
    """The shortcut, all its pixels or every second one, and zero maps make the main shape."""
    halved = tuple(-(-side // 2) for side in shortcut[1:])
    return shortcut[0] <= main[0] and main[1:] in (shortcut[1:], halved)


def out_shape(kind: str, layer: Layer, came: Shape) -> Shape:
    """Output of one row, (channels, height, width) or (features,), for an input of shape `came`."""
    if kind in SAME_SHAPE or kind in JOINS:
        return came
    if kind == "global_avg_pool":
        return (came[0], 1, 1)
    if kind in ("linear", "rbf"):
        return (_width(layer, came),)
    if layer.kernel is None or layer.stride is None:
        raise ValueError(f"{kind} needs a kernel")
    ceil = "ceil" in layer.flags
    sides = [side_out(side, layer.kernel, layer.stride, layer.pad, ceil=ceil) for side in came[1:]]
    return (_width(layer, came) if kind == "conv" else came[0], *sides)


def groups_of(layer: Layer, came: Shape) -> int:
    """Groups of a convolution; `dw` has one an input map."""
    return came[0] if "dw" in layer.flags else layer.groups


def macs_of(kind: str, layer: Layer, came: Shape, out: Shape) -> int:
    """Multiply-adds of one row at batch 1: weights x places they are used at."""
    return weights_of(kind, layer, came, out) * prod(out[1:])


def weights_of(kind: str, layer: Layer, came: Shape, out: Shape) -> int:
    """Weights of one row without biases: kernels between maps, or one an input and output."""
    if kind == "linear":
        return prod(came) * out[0]
    if kind != "conv" or layer.kernel is None:
        return 0
    links = layer.links
    if links is None:
        groups = groups_of(layer, came)
        if came[0] % groups or out[0] % groups:
            raise ValueError(f"{groups} groups do not divide {came[0]} and {out[0]} maps")
        links = came[0] // groups * out[0]
    return links * layer.kernel**2


def params_of(kind: str, layer: Layer, came: Shape, out: Shape, *, bias: bool) -> int:
    """Weights, biases and the sub-sampling's coefficients (one and a bias a map, LeNet)."""
    if kind == "subsample":
        return 2 * out[0]
    biases = out[0] if bias and kind in WEIGHTED else 0
    return weights_of(kind, layer, came, out) + biases


def _width(layer: Layer, came: Shape) -> int:
    if "dw" in layer.flags:
        return came[0]
    if layer.width is None:
        raise ValueError("a width is missing")
    return read_width(layer.width, came[0])
