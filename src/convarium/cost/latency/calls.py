"""Operators as the latency model sees them: a kind and its sizes, from a trace or from a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from convarium.cost.macs import count_products
from convarium.trace import Op, TensorSpec, TraceRow

# The sizes of each kind, in this order. `elements` are those of the output, N the batch.
SIZES: dict[str, tuple[str, ...]] = {
    "conv": ("n", "c", "h", "w", "out", "kh", "kw", "stride", "dilation", "groups"),
    "linear": ("rows", "inputs", "outputs"),
    "product": ("n", "rows", "inner", "columns"),
    "norm": ("n", "c", "pixels"),
    "map": ("elements",),
    "map_in_place": ("elements",),
    "curve": ("elements",),  # exponentials, powers
    "sum": ("elements",),  # two tensors into one
    "sum_in_place": ("elements",),
    "join": ("parts", "elements"),
    "copy": ("elements",),  # moves the axes about
    "max_pool": ("n", "c", "h", "w", "kernel", "stride"),
    "mean_pool": ("n", "c", "h", "w", "kernel", "stride"),
    "mean": ("kept", "summed"),
    "mean_window": ("elements", "window"),  # over neighbouring channels, as in an LRN
    "view": (),
}
_CURVES = frozenset(
    "pow exp log sigmoid tanh gelu silu elu softplus mish erf _softmax _safe_softmax".split()
)
_POOLS = {"max_pool2d_with_indices": "max_pool", "avg_pool2d": "mean_pool"}
_NORMS = frozenset(
    "native_batch_norm _native_batch_norm_legit_no_training native_group_norm".split()
)
_FREE = frozenset("empty empty_strided empty_like detach".split())


@dataclass(frozen=True, slots=True)
class Call:
    """One operator call: its kind and its sizes, in the order of `SIZES`.

    >>> Call("linear", (1, 9216, 4096)).macs
    37748736
    """

    kind: str
    sizes: tuple[int, ...]

    def __getitem__(self, name: str) -> int:
        return self.sizes[SIZES[self.kind].index(name)]

    @property
    def family(self) -> str:
        """What is fitted together: dense, grouped and depthwise convolutions are apart."""
        if self.kind != "conv":
            return self.kind
        groups = self["groups"]
        if groups == 1:
            return "pointwise" if self["kh"] == self["kw"] == 1 else "conv"
        return "depthwise" if groups == self["c"] else "grouped"

    @property
    def output_pixels(self) -> int:
        """Of all pictures of the batch, of one channel; for windows alone."""
        across = -(-self["h"] // self["stride"]) * -(-self["w"] // self["stride"])
        return self["n"] * across

    @property
    def macs(self) -> int:
        """Multiply-adds; 0 for what has none."""
        if self.kind == "conv":
            window = self["c"] // self["groups"] * self["kh"] * self["kw"]
            return self.output_pixels * self["out"] * window
        return prod(self.sizes) if self.kind in ("linear", "product") else 0


def calls_of(row: TraceRow) -> list[Call]:
    """The operators of a row that take time, in order."""
    return [call for op in row.ops if op.name not in _FREE for call in [call_of(op)]]


def call_of(op: Op) -> Call:
    """One operator's kind and sizes. One that no kind fits is taken for a copy of its bytes.

    What has no elements, such as the boxes of a picture without any, costs the call alone.
    """
    found = _call_of(op)
    return found if min(found.sizes, default=1) > 0 else Call("view", ())


def odd_kind(op: Op) -> str | None:
    """What an operator is that multiplies and that no calibration times as it is; else None."""
    if op.name == "convolution" and len(op.args[1].shape) > 4:
        return "convolution of 3 dimensions"
    return op.name if _macs_elsewhere(op) else None


def _macs_elsewhere(op: Op) -> int:
    """Multiply-adds of an operator that is none of the kinds that multiply: of an LSTM, say."""
    if op.nature == "view" or op.name == "convolution" or _product(op) is not None:
        return 0
    return sum(product.macs for product in count_products(op) or ())


def _call_of(op: Op) -> Call:
    if op.nature == "view":
        return Call("view", ())
    if op.name == "convolution":
        return _convolution(op)
    if op.name in _POOLS:
        return _pool(_POOLS[op.name], op)
    if op.name == "avg_pool3d":
        return Call("mean_window", (prod(op.outputs[0].shape), prod(op.args[1])))
    return _product(op) or _of_macs(op) or _sweep(op)


def _of_macs(op: Op) -> Call | None:
    """As a linear layer with this output and as many multiply-adds; None for what has none."""
    macs = _macs_elsewhere(op)
    if not macs:
        return None
    *kept, columns = op.outputs[0].shape or (1,)
    return Call("linear", (prod(kept), -(-macs // (prod(kept) * columns)), columns))


def _convolution(op: Op) -> Call:
    """Its picture is the one that gives this output at full padding: borders are not computed.

    A transposed one costs what its mirror image does: it goes over the pixels that come in. One of
    three dimensions takes each place along the first as a picture, whose channels are all those
    that the filter sees.
    """
    x, weight, stride, dilation, turned, groups = (op.args[i] for i in (0, 1, 3, 5, 6, 8))
    kh, kw = (1, *weight.shape[2:])[-2:]
    out = weight.shape[1] * groups if turned else weight.shape[0]
    step = 1 if turned else stride[-1]
    h, w = (step * side for side in (1, *(x if turned else op.outputs[0]).shape[2:])[-2:])
    frames = prod((x if turned else op.outputs[0]).shape[2:-2])
    deep = prod(weight.shape[2:-2])
    n, c = x.shape[0] * frames, x.shape[1] * deep
    return Call("conv", (n, c, h, w, out, kh, kw, step, dilation[-1], groups))


def _pool(kind: str, op: Op) -> Call:
    n, c, h, w = (1, *op.outputs[0].shape)[-4:]
    kernel = op.args[1][-1]
    given = op.args[2] if len(op.args) > 2 and op.args[2] else [kernel]
    return Call(kind, (n, c, h * given[-1], w * given[-1], kernel, given[-1]))


def _product(op: Op) -> Call | None:
    if op.name in ("addmm", "mm", "linear") and len(op.inputs) >= 2:
        left, right = op.inputs[-2:] if op.name != "linear" else op.inputs[:2]
        return Call("linear", (left.shape[-2], left.shape[-1], op.outputs[0].shape[-1]))
    if op.name in ("bmm", "baddbmm"):
        left, right = op.inputs[-2:]
        return Call("product", (*left.shape, right.shape[-1]))
    return None


def _sweep(op: Op) -> Call:
    """What goes once over its tensors."""
    inputs = op.inputs
    elements = max((prod(t.shape) for t in op.outputs), default=0)
    if op.name in _NORMS or op.name == "native_layer_norm":
        n, c, *sides = (*inputs[0].shape, 1)
        return Call("norm", (n, c, prod(sides)))
    if op.name == "cat":
        return Call("join", (len(inputs), elements))
    if op.nature == "reduction":
        read = prod(inputs[0].shape) if inputs else elements
        return Call("mean", (max(1, elements), max(1, read // max(1, elements))))
    if op.name in _CURVES:
        return Call("curve", (elements,))
    if op.name == "clone" or op.nature == "other":
        return Call("copy", (elements,))
    kind = "sum" if _is_of_two(inputs, elements) else "map"
    return Call(f"{kind}_in_place" if op.in_place else kind, (elements,))


def _is_of_two(inputs: Sequence[TensorSpec], elements: int) -> bool:
    return sum(prod(t.shape) == elements for t in inputs) > 1
