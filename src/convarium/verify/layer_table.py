"""A layer table (JSON) -> units: a network as a Caffe or Darknet definition has it.

A table is an object with `layers` in order, each with its `type`, its settings, and `out_shape`,
`params` and `macs`. Types are Caffe's ("Convolution", "InnerProduct") or Darknet's
("convolutional", "connected"). Shapes, parameters and multiply-adds are taken as they are said.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from convarium.errors import InputError
from convarium.verify.folding import folded
from convarium.verify.traced import as_linear, pool, response_norm, whole
from convarium.verify.unit import Side, Unit

_LARGEST_FILE = 64 * 2**20  # bytes
_Entry = dict[str, Any]
_Settings = tuple[str, dict[str, Any]]
_Shape = tuple[int, ...]


def read_table(path: Path) -> Side:
    """The network of a layer table.

    Raises:
        InputError: the file cannot be read, is not such a table, or has a layer that misses what
            its type needs; the message names the layer.
    """
    layers = _layers(path)
    shapes: dict[Any, _Shape] = {}  # of every blob, by its name
    pieces: list[Unit] = []
    before: _Shape = ()
    for number, entry in enumerate(layers):
        try:
            seen = shapes.get((entry.get("bottoms") or [None])[0], before)
            _append(pieces, entry, seen)
            before = tuple(entry["out_shape"])
            shapes[entry.get("top")] = before
        except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise InputError(
                f"{path}: layer {entry.get('name', number)!r} lacks or garbles {error}, "
                "which its type needs."
            ) from error
    silent = f"{path.name} says no input size and no initial values."
    return Side(path.stem, str(path), None, folded(pieces), (silent,))


def _layers(path: Path) -> list[_Entry]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path} has over 64 MiB: that is no layer table.")
        table = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON file that can be read: {error}") from error
    layers = table.get("layers") if isinstance(table, dict) else None
    if not isinstance(layers, list) or not layers:
        raise InputError(f'{path} is no layer table: it needs an object with a list "layers".')
    if not all(isinstance(entry, dict) for entry in layers):
        raise InputError(f'{path} is no layer table: each of its "layers" needs to be an object.')
    return layers


def _append(pieces: list[Unit], entry: _Entry, seen: _Shape) -> None:
    """Adds a layer's units. Caffe's Scale holds what the batch norm before it trains."""
    if entry["type"] == "Scale" and pieces and pieces[-1].kind == "norm":
        pieces[-1] = replace(pieces[-1], params=pieces[-1].params + int(entry["params"]))
    else:
        pieces += _pieces(entry, seen)


def _pieces(entry: _Entry, seen: _Shape) -> list[Unit]:
    """A layer's units: Darknet writes norm and activation on the line of the convolution."""
    kind, settings = _READERS.get(entry["type"], _other)(entry, seen)
    name = str(entry.get("name", f"{entry['type']}{entry.get('index', '')}"))
    out, params, macs = _sides(entry["out_shape"]), int(entry["params"]), int(entry["macs"])
    if params < 0 or macs < 0:
        raise ValueError(f"a count of {min(params, macs)}")
    of_norm = 2 * out[0] if entry.get("batch_norm") else 0
    bias = out[0] if settings.get("bias") else 0
    pieces = [Unit(name, kind, out, params - of_norm, macs, settings, bias_params=bias)]
    if entry.get("batch_norm"):
        norm = {"norm": "batch norm", "norm_eps": None, "norm_momentum": None}
        pieces.append(Unit(f"{name} norm", "norm", out, of_norm, settings=norm))
    function = _ACTIVATIONS[entry.get("activation", "linear")]
    if function:
        pieces.append(Unit(f"{name} act", "activation", out, settings={"function": function}))
    return pieces


_ACTIVATIONS = {"linear": "", "leaky": "leaky_relu 0.1", "relu": "relu", "logistic": "sigmoid"}


def _convolution(entry: _Entry, seen: _Shape) -> _Settings:
    kernel, groups = _sides(_pair(entry["kernel"])), int(entry.get("group", 1))
    filters, (_, high, wide) = entry["out_ch"], entry["out_shape"]
    settings = {
        "filters": filters,
        # What every output adds up says how many channels it sees.
        "in": entry["macs"] * groups // (filters * high * wide * prod(kernel)),
        "kernel": kernel,
        "stride": _sides(_pair(entry["stride"])),
        "pad": _pair(entry["pad"]),
        "dilation": _pair(entry.get("dilation", 1)),
        "groups": groups,
        "bias": entry.get("bias", not entry.get("batch_norm")),
        "transposed": False,
    }
    return as_linear(settings, tuple(seen[1:])) or ("conv", settings)


def _linear(entry: _Entry, seen: _Shape) -> _Settings:
    filters = entry["out_ch"]
    bias = entry["params"] != entry["macs"]
    inside = entry["macs"] // filters
    return "linear", {"filters": filters, "in": inside, "bias": bias, "written": "matrix"}


def _caffe_pool(entry: _Entry, seen: _Shape) -> _Settings:
    pooling = {"MAX": "max", "AVE": "average"}[entry["pool"]]
    if entry.get("global"):
        return "pool", whole(pooling, seen[1:] or None, "whole map")
    kernel, pad = _sides(_pair(entry["kernel"])), _pair(entry["pad"])
    if seen[1:] == kernel and not any(pad):
        return "pool", whole(pooling, kernel, "fixed window")
    up = entry.get("rounding", "ceil") == "ceil"
    settings = pool(pooling, kernel, _sides(_pair(entry["stride"])), pad, up=up)
    counted = "counted" if any(pad) and pooling == "average" else None
    return "pool", settings | {"border": counted}


def _darknet_max_pool(entry: _Entry, seen: _Shape) -> _Settings:
    """Darknet pads `pad_total` in all, half of it (rounded down) before the first pixel."""
    total = int(entry.get("pad_total", 0))
    pad = _pair(total // 2)
    kernel, stride = _sides(_pair(entry["kernel"])), _sides(_pair(entry["stride"]))
    return "pool", pool("max", kernel, stride, pad, up=total % 2 == 1)


def _average(entry: _Entry, seen: _Shape) -> _Settings:
    return "pool", whole("average", seen[1:] or None, "whole map")


def _response_norm(entry: _Entry, seen: _Shape) -> _Settings:
    size = entry["local_size"]
    settings = response_norm(size, entry["k"], entry["alpha"] / size, entry["beta"])
    if entry.get("region", "ACROSS_CHANNELS") != "ACROSS_CHANNELS":
        settings["over"] = "a square of one map"
    return "lrn", settings


def _batch_norm(entry: _Entry, seen: _Shape) -> _Settings:
    settings = {"norm": "batch norm", "norm_eps": entry.get("eps"), "norm_momentum": None}
    return "norm", settings


def _other(entry: _Entry, seen: _Shape) -> _Settings:
    return str(entry["type"]).lower(), {}


def _activation(function: str) -> Callable[[_Entry, _Shape], _Settings]:
    return lambda entry, seen: ("activation", {"function": function})


def _dropout(entry: _Entry, seen: _Shape) -> _Settings:
    return "dropout", {"rate": float(entry["ratio"])}


def _join(kind: str) -> Callable[[_Entry, _Shape], _Settings]:
    return lambda entry, seen: (kind, {})


def _sides(values: Any) -> _Shape:
    sides = tuple(map(int, values))
    if min(sides) < 1:
        raise ValueError(f"a side of {min(sides)}")
    return sides


def _pair(value: Any) -> tuple[int, int]:
    first, last = (value[0], value[-1]) if isinstance(value, list) else (value, value)
    return int(first), int(last)


_READERS: dict[str, Callable[[_Entry, _Shape], _Settings]] = {
    "Convolution": _convolution,
    "convolutional": _convolution,
    "InnerProduct": _linear,
    "connected": _linear,
    "Pooling": _caffe_pool,
    "maxpool": _darknet_max_pool,
    "avgpool": _average,
    "LRN": _response_norm,
    "BatchNorm": _batch_norm,
    "ReLU": _activation("relu"),
    "Sigmoid": _activation("sigmoid"),
    "TanH": _activation("tanh"),
    "Dropout": _dropout,
    "dropout": _dropout,
    "Concat": _join("concat"),
    "Eltwise": _join("add"),
    "shortcut": _join("add"),
}
