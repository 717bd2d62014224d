"""Any module -> units: it runs once on the meta device, and its operators say what they do.

Settings are read from the calls that reach torch, so a functional pool is seen as one that is a
module. What no call says, the rate of a dropout or the constants of a response normalisation, is
read from the module itself. Names decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from torch import nn

from convarium.blocks.lrn import LocalResponseNorm
from convarium.cost.macs import macs_of
from convarium.errors import times
from convarium.trace import Op, TensorSpec, TraceRow, trace_anyhow
from convarium.verify.folding import folded
from convarium.verify.sources import sources_noted
from convarium.verify.unit import Unit

ACTIVATIONS = frozenset(
    "relu relu6 hardtanh leaky_relu tanh sigmoid silu gelu elu hardswish hardsigmoid mish prelu"
    " softplus".split()
)
_JOINS = {"add": "add", "cat": "concat"}
_NORMS = {
    "native_batch_norm": "batch norm",
    "_native_batch_norm_legit": "batch norm",
    "_native_batch_norm_legit_no_training": "batch norm",
    "native_group_norm": "group norm",
    "native_layer_norm": "layer norm",
}
_PRODUCTS = ("addmm", "mm")
_DROPPERS = frozenset(
    "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout DropPath"
    " StochasticDepth".split()
)
_SILENT = frozenset("empty t detach".split())
_Settings = tuple[str, dict[str, Any]]


def units_of(
    model: nn.Module, size: tuple[int, ...], *, mode: str = "eval", device: str = "meta"
) -> tuple[Unit, ...]:
    """The units of one forward pass on a picture of (C, H, W), in the order of the calls."""
    with sources_noted(model) as sources:
        rows, _ = trace_anyhow(model, (1, *size), mode=mode, device=device)
    modules = dict(model.named_modules())
    pieces = [_piece(row, modules.get(row.name)) for row in rows]
    named = {_name(*call): _name(*maker) for call, maker in sources.items()}
    return folded([piece for piece in pieces if piece is not None], named)


def _name(path: str, call: int) -> str:
    return f"{path}, call {call + 1}" if call else path


def _piece(row: TraceRow, module: nn.Module | None) -> Unit | None:
    """One row as a unit, None for a row that does nothing to what passes."""
    ops = [op for op in row.ops if _matters(op)]
    macs = macs_of(row)
    kind, settings = _by_module(row, module) or _by_operator(ops) or _by_class(row, module, ops)
    if not kind and not row.params and not macs:
        return None
    bias = _biases(ops[0]) if kind in ("conv", "linear") else 0
    return Unit(
        name=_name(row.name, row.call),
        kind=kind or row.kind,
        output=row.output_shape[1:],
        params=row.params,
        macs=macs,
        settings=settings,
        bias_params=bias if row.params else 0,
    )


def _matters(op: Op) -> bool:
    """False for views, allocations and the counter of a batch norm in train mode."""
    is_counter = bool(op.outputs) and not any(out.shape for out in op.outputs)
    return op.name not in _SILENT and op.nature != "view" and not is_counter


def _by_module(row: TraceRow, module: nn.Module | None) -> _Settings | None:
    """Kinds whose constants no operator shows."""
    if isinstance(module, LocalResponseNorm):
        return "lrn", response_norm(module.n, module.k, module.alpha, module.beta)
    if isinstance(module, nn.LocalResponseNorm):
        mean = module.alpha / module.size
        return "lrn", response_norm(module.size, module.k, mean, module.beta)
    if module is not None and row.kind in _DROPPERS:
        rate = float(getattr(module, "p", getattr(module, "drop_prob", 0.0)) or 0.0)
        return ("dropout", {"rate": rate}) if rate else ("", {})
    return None


def response_norm(size: int, k: float, alpha: float, beta: float) -> dict[str, Any]:
    """Settings of x / (k + alpha * sum of squares) ^ beta over `size` maps.

    `alpha` multiplies the sum, as AlexNet prints it. Torch and Caffe multiply the mean: theirs is
    divided by `size` before it comes here, so that equal formulas have equal settings.
    """
    return {"size": size, "k": float(k), "alpha": alpha, "beta": float(beta), "over": "all maps"}


def _by_operator(ops: list[Op]) -> _Settings | None:
    """A row that is one call of an operator known here."""
    if len(ops) != 1:
        return None
    op = ops[0]
    if op.name in ACTIVATIONS:
        return "activation", {"function": _activation(op)}
    if op.name in _NORMS:
        return "norm", _norm(op)
    if op.name in _JOINS:
        return (_JOINS[op.name], {}) if _joined(op) > 1 else ("", {})
    read = _READERS.get(op.name)
    return read(op) if read else None


def _by_class(row: TraceRow, module: nn.Module | None, ops: list[Op]) -> _Settings:
    """Anything else: its class, and what it says of itself."""
    if not ops and not row.params:
        return "", {}
    words = module.extra_repr() if module is not None else ""
    return row.kind, {"is": words} if words else {}


def _convolution(op: Op) -> _Settings:
    x, weight = op.args[0].shape, op.args[1].shape
    if op.args[6]:
        groups, filters = op.args[8], weight[1] * op.args[8]
    else:
        groups, filters = op.args[8], weight[0]
    settings = {
        "filters": filters,
        "in": x[1],
        "kernel": tuple(weight[2:]),
        "stride": tuple(op.args[3]),
        "pad": tuple(op.args[4]),
        "dilation": tuple(op.args[5]),
        "groups": groups,
        "bias": op.args[2] is not None,
        "transposed": bool(op.args[6]),
    }
    return as_linear(settings, tuple(x[2:])) or ("conv", settings)


def as_linear(settings: dict[str, Any], seen: tuple[int, ...]) -> _Settings | None:
    """A convolution over the whole map is a linear layer; `written` says how it is written.

    None where its kernel is smaller than the map, or the map is padded or cut in groups.
    """
    kernel, pad = settings["kernel"], settings["pad"]
    if kernel != seen or settings["groups"] != 1 or any(pad or ()):
        return None
    kept = {"filters": settings["filters"], "bias": settings["bias"]}
    inside = None if settings["in"] is None else settings["in"] * prod(kernel)
    sides = times(kernel)
    return "linear", kept | {"in": inside, "written": f"{sides} convolution"}


def _linear(op: Op) -> _Settings:
    inside, out = op.args[-1].shape
    bias = op.name == "addmm"
    return "linear", {"filters": out, "in": inside, "bias": bias, "written": "matrix"}


def _biases(op: Op) -> int:
    bias = op.args[2] if op.name == "convolution" else op.args[0] if op.name == "addmm" else None
    return prod(bias.shape) if isinstance(bias, TensorSpec) else 0


def _max_pool(op: Op) -> _Settings:
    side, stride, pad = _window(op)
    dilation = tuple(op.args[4]) if len(op.args) > 4 else (1, 1)
    up = bool(op.args[5]) if len(op.args) > 5 else False
    return "pool", pool("max", side, stride, pad, up=up) | {"dilation": dilation}


def _avg_pool(op: Op) -> _Settings:
    side, stride, pad = _window(op)
    if tuple(op.args[0].shape[2:]) == side and not any(pad):
        return "pool", whole("average", side, "fixed window")
    up = bool(op.args[4]) if len(op.args) > 4 else False
    counted = bool(op.args[5]) if len(op.args) > 5 else True
    border = ("counted" if counted else "left out") if any(pad) else None
    return "pool", pool("average", side, stride, pad, up=up) | {"border": border}


def _adaptive(pooling: str) -> Callable[[Op], _Settings]:
    def read(op: Op) -> _Settings:
        seen, out = op.args[0].shape, op.outputs[0].shape
        if len(seen) != 4 or (op.name == "mean" and prod(out[2:]) != 1):
            return "mean", {}
        if prod(out[2:]) == 1:
            return "pool", whole(pooling, tuple(seen[2:]), "whole map")
        return "pool", {"pooling": pooling, "window": f"adaptive to {out[2]}x{out[3]}"}

    return read


def pool(
    pooling: str,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[int, ...] | None,
    *,
    up: bool,
) -> dict[str, Any]:
    """Settings of a sliding window; `up` says that sides are rounded up (torch's ceil_mode)."""
    window = {"pooling": pooling, "kernel": kernel, "stride": stride, "pad": pad}
    return window | {"rounding": "up" if up else "down", "window": "fixed window"}


def whole(pooling: str, side: tuple[int, ...] | None, window: str) -> dict[str, Any]:
    """Settings of a pool whose one window is the map: stride and rounding mean nothing."""
    return {"pooling": pooling, "kernel": side, "window": window}


def _window(op: Op) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    side = _pair(op.args[1])
    stride = _pair(op.args[2]) if len(op.args) > 2 and op.args[2] else side
    return side, stride, _pair(op.args[3]) if len(op.args) > 3 else (0, 0)


def _pair(values: Any) -> tuple[int, ...]:
    values = tuple(values)
    return values if len(values) == 2 else values * 2


def _norm(op: Op) -> dict[str, Any]:
    args = [value for value in op.args if isinstance(value, float)]
    momentum, eps = args[-2:] if len(args) > 1 else (None, *args[-1:])
    return {"norm": _NORMS[op.name], "norm_eps": eps, "norm_momentum": momentum}


def _activation(op: Op) -> str:
    """ "relu", "leaky_relu 0.1", "relu6"."""
    numbers = [f"{value:g}" for value in op.args[1:] if isinstance(value, (int, float))]
    if op.name == "hardtanh" and numbers == ["0", "6"]:
        return "relu6"
    if op.name == "leaky_relu" and not numbers:
        numbers = ["0.01"]  # torch leaves out an argument that has its default
    return " ".join([op.name, *numbers])


def _joined(op: Op) -> int:
    """How many tensors with more than one axis go in."""
    values = op.args[0] if isinstance(op.args[0], (list, tuple)) else op.args[:2]
    return sum(isinstance(value, TensorSpec) and len(value.shape) > 1 for value in values)


_READERS: dict[str, Callable[[Op], _Settings]] = {
    "convolution": _convolution,
    "addmm": _linear,
    "mm": _linear,
    "max_pool2d_with_indices": _max_pool,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "mean": _adaptive("average"),
    "_adaptive_avg_pool2d": _adaptive("average"),
    "adaptive_max_pool2d": _adaptive("max"),
    "_softmax": lambda op: ("softmax", {}),
    "_log_softmax": lambda op: ("log softmax", {}),
}
