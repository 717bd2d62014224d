"""A layer table (JSON) -> units: a network as a Caffe or Darknet definition has it.

A table is an object with `layers` in order, each with its `type`, its settings, and `out_shape`,
`params` and `macs`. Types are Caffe's ("Convolution", "InnerProduct") or Darknet's
("convolutional", "connected"). Shapes, parameters and multiply-adds are taken as they are said;
where they do not follow from the settings, `Side.doubts` says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from convarium.errors import InputError
from convarium.files import printable
from convarium.verify.folding import folded
from convarium.verify.table_doubts import Doubts
from convarium.verify.table_values import integer, number, one_of, pair, sides
from convarium.verify.traced import as_linear, pool, response_norm, whole
from convarium.verify.unit import Side, Unit

_LARGEST_FILE = 64 * 2**20  # bytes
_MOST_LAYERS = 10_000  # Caffe's residual network of 1202 layers has some 6,000
_LONGEST_NAME = 200  # characters
_Entry = dict[str, Any]
_Settings = tuple[str, dict[str, Any]]
_Shape = tuple[int, ...]


def read_table(path: Path) -> Side:
    """The network of a layer table.

    Raises:
        InputError: the file cannot be read, is not such a table, or has a layer that misses what
            its type needs; the message names the layer.
    """
    table = _table(path)
    doubts = Doubts(path.name)
    pieces: list[Unit] = []
    for place, entry in enumerate(table["layers"]):
        try:
            seen = doubts.seen(entry)
            added = _pieces(entry, seen)
            doubts.look(entry, added[0], seen)
            _append(pieces, added)
        except (KeyError, TypeError, ValueError) as error:
            name = _name(entry) or f"at place {place}"
            raise InputError(
                f"{path}: layer {name!r} lacks or garbles {error}, which its type needs."
            ) from error
    doubts.of_totals(table.get("totals"), pieces)
    silent = f"{path.name} says no input size and no initial values."
    return Side(path.stem, str(path), None, folded(pieces), (silent,), doubts.told())


def _table(path: Path) -> _Entry:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path} has over 64 MiB: that is no layer table.")
        table = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON file that can be read: {error}") from error
    layers = table.get("layers") if isinstance(table, dict) else None
    if not isinstance(layers, list) or not layers:
        raise InputError(f'{path} is no layer table: it needs an object with a list "layers".')
    if len(layers) > _MOST_LAYERS:
        raise InputError(f"{path} has {len(layers):,} layers; {_MOST_LAYERS:,} are read at most.")
    if not all(isinstance(entry, dict) for entry in layers):
        raise InputError(f'{path} is no layer table: each of its "layers" needs to be an object.')
    return dict(table)


def _append(pieces: list[Unit], added: list[Unit]) -> None:
    """Adds a layer's units. Caffe's Scale holds what the batch norm before it trains."""
    if added[0].kind == "scale" and pieces and pieces[-1].kind == "norm":
        pieces[-1] = replace(pieces[-1], params=pieces[-1].params + added[0].params)
    else:
        pieces += added


def _pieces(entry: _Entry, seen: _Shape | None) -> list[Unit]:
    """A layer's units: Darknet writes norm and activation on the line of the convolution."""
    entry = entry | {"out_shape": sides(entry["out_shape"])}
    entry |= {key: integer(entry[key], "a count") for key in ("params", "macs")}
    if not isinstance(entry["type"], str):
        raise ValueError("a type that is no word")
    kind, settings = _READERS.get(entry["type"], _other)(entry, seen)
    out, of_norm = entry["out_shape"], _norm_params(entry)
    bias = out[0] if settings.get("bias") else 0
    name = _name(entry)
    params = entry["params"] - of_norm
    pieces = [Unit(name, kind, out, params, entry["macs"], settings, bias_params=bias)]
    if of_norm:
        norm = {"norm": "batch norm", "norm_eps": None, "norm_momentum": None}
        pieces.append(Unit(f"{name} norm", "norm", out, of_norm, settings=norm))
    function = _ACTIVATIONS[one_of(entry.get("activation", "linear"), _ACTIVATIONS, "activation")]
    if function:
        pieces.append(Unit(f"{name} act", "activation", out, settings={"function": function}))
    return pieces


def _name(entry: _Entry) -> str:
    """The layer's name, or its type and number, as a terminal may show it."""
    name = str(entry.get("name") or f"{entry.get('type', '')}{entry.get('index', '')}")
    return printable(name[:_LONGEST_NAME])


def _norm_params(entry: _Entry) -> int:
    has_norm = one_of(entry.get("batch_norm", False), (True, False), "batch_norm")
    return 2 * entry["out_shape"][0] if has_norm else 0


_ACTIVATIONS = {"linear": "", "leaky": "leaky_relu 0.1", "relu": "relu", "logistic": "sigmoid"}


def _convolution(entry: _Entry, seen: _Shape | None) -> _Settings:
    kernel, groups = pair(entry["kernel"], "a side", 1), integer(entry.get("group", 1), "group", 1)
    filters = integer(entry["out_ch"], "out_ch", 1)
    settings = {
        "filters": filters,
        "kernel": kernel,
        "stride": pair(entry["stride"], "a stride", 1),
        "pad": pair(entry["pad"], "a pad"),
        "dilation": pair(entry.get("dilation", 1), "a dilation", 1),
        "groups": groups,
        "bias": one_of(entry.get("bias", not entry.get("batch_norm")), (True, False), "bias"),
        "transposed": False,
    }
    settings["in"] = seen[0] if seen else _counted_channels(entry, settings)
    return as_linear(settings, seen[1:] if seen else ()) or ("conv", settings)


def _counted_channels(entry: _Entry, settings: dict[str, Any]) -> int | None:
    """How many channels the first layer sees: its counts say it, of weights or of multiply-adds."""
    filters, inside = settings["filters"], prod(settings["kernel"])
    weights = entry["params"] - _norm_params(entry) - filters * settings["bias"]
    for count, times in ((weights, 1), (entry["macs"], prod(entry["out_shape"][1:]))):
        channels, rest = divmod(count * settings["groups"], filters * inside * times)
        if channels > 0 and not rest:
            return channels
    return None


def _linear(entry: _Entry, seen: _Shape | None) -> _Settings:
    filters = integer(entry["out_ch"], "out_ch", 1)
    inside = prod(seen) if seen else entry["macs"] // filters
    bias = entry["params"] != filters * inside
    return "linear", {"filters": filters, "in": inside, "bias": bias, "written": "matrix"}


def _caffe_pool(entry: _Entry, seen: _Shape | None) -> _Settings:
    poolings = {"MAX": "max", "AVE": "average"}
    pooling = poolings[one_of(entry["pool"], poolings, "pool")]
    of_map = seen[1:] if seen else None
    if one_of(entry.get("global", False), (True, False), "global"):
        return "pool", whole(pooling, of_map, "whole map")
    kernel, pad = pair(entry["kernel"], "a side", 1), pair(entry["pad"], "a pad")
    up = one_of(entry.get("rounding", "ceil"), ("ceil", "floor"), "rounding") == "ceil"
    stride = pair(entry["stride"], "a stride", 1)
    if of_map == kernel and not any(pad):
        return "pool", whole(pooling, kernel, "fixed window")
    counted = "counted" if any(pad) and pooling == "average" else None
    return "pool", pool(pooling, kernel, stride, pad, up=up) | {"border": counted}


def _darknet_max_pool(entry: _Entry, seen: _Shape | None) -> _Settings:
    """Darknet pads `pad_total` in all, half of it (rounded down) before the first pixel."""
    total = integer(entry.get("pad_total", 0), "pad_total")
    kernel, stride = pair(entry["kernel"], "a side", 1), pair(entry["stride"], "a stride", 1)
    return "pool", pool("max", kernel, stride, (total // 2, total // 2), up=total % 2 == 1)


def _average(entry: _Entry, seen: _Shape | None) -> _Settings:
    return "pool", whole("average", seen[1:] if seen else None, "whole map")


def _response_norm(entry: _Entry, seen: _Shape | None) -> _Settings:
    size = integer(entry["local_size"], "local_size", 1)
    k, alpha, beta = (number(entry[key], key) for key in ("k", "alpha", "beta"))
    settings = response_norm(size, k, alpha / size, beta)
    regions = ("ACROSS_CHANNELS", "WITHIN_CHANNEL")
    if one_of(entry.get("region", regions[0]), regions, "region") == regions[1]:
        settings["over"] = "a square of one map"
    return "lrn", settings


def _batch_norm(entry: _Entry, seen: _Shape | None) -> _Settings:
    eps = None if entry.get("eps") is None else number(entry["eps"], "eps")
    return "norm", {"norm": "batch norm", "norm_eps": eps, "norm_momentum": None}


def _other(entry: _Entry, seen: _Shape | None) -> _Settings:
    return printable(entry["type"][:_LONGEST_NAME]).lower(), {}


def _activation(function: str) -> Callable[[_Entry, _Shape | None], _Settings]:
    return lambda entry, seen: ("activation", {"function": function})


def _dropout(entry: _Entry, seen: _Shape | None) -> _Settings:
    rate = number(entry["ratio"], "a ratio")
    if rate > 1:
        raise ValueError(f"a ratio of {rate:g}")
    return "dropout", {"rate": rate}


def _join(kind: str) -> Callable[[_Entry, _Shape | None], _Settings]:
    return lambda entry, seen: (kind, {})


_READERS: dict[str, Callable[[_Entry, _Shape | None], _Settings]] = {
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
