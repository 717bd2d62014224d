"""Caffe's binary NetParameter: the layers with weights, in all three generations of the format.

Fields, from caffe.proto of BVLC/caffe: NetParameter.layers 2 (V1), .layer 100; V1LayerParameter
.layer 1 (V0), .name 4, .type 5, .blobs 6; V0LayerParameter .name 1, .type 2, .blobs 50;
LayerParameter .name 1, .type 2, .blobs 7, .batch_norm_param 139 (.eps 3); BlobProto
.num .. .width 1..4, .data 5, .shape 7 (.dim 1), .double_data 8.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import cast

import numpy as np

from convarium.errors import InputError, times
from convarium.interop.readers.caffe_said import said_of
from convarium.interop.readers.model import Arrays, Said
from convarium.interop.readers.protobuf import (
    BYTES,
    FIXED32,
    VARINT,
    Value,
    WireError,
    fields,
    signed,
    varint,
)

MAX_LAYERS, MAX_BLOBS, MAX_DIMS = 10_000, 16, 8
BATCH_NORM_EPS = 1e-5  # caffe.proto's default
_CAFFE_STARTS = (0x0A, 0x12, 0xA2)  # name, layers, the first byte of layer
_INNER_PRODUCT = ("InnerProduct", "14", "innerproduct")


@dataclass(slots=True)
class CaffeLayer:
    """One layer that has blobs: the arrays in the order of the file."""

    name: str = ""
    type: str = ""
    eps: float = BATCH_NORM_EPS
    blobs: list[np.ndarray] = field(default_factory=list)
    said: Said | None = None


def looks_like_caffe(path: Path, head: bytes) -> bool:
    """The ending, or the first byte of a NetParameter (protobuf has no magic number)."""
    return path.suffix == ".caffemodel" or head[0] in _CAFFE_STARTS


def read_caffe(path: Path, budget_bytes: int) -> Arrays:
    """The weights of a .caffemodel; BatchNorm and Scale pairs become one batch norm.

    Raises:
        InputError: no NetParameter, or one whose sizes lie.
    """
    with path.open("rb") as file:
        # Not closed by hand: views of it may be alive in an error's traceback.
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        layers = _layers(memoryview(whole))
        arrays, eps = _as_torch([layer for layer in layers if layer.blobs])
    except WireError as error:
        raise InputError(f"{path} is no whole .caffemodel: {error}.") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not arrays:
        raise InputError(f"{path} has no layer with weights; a .prototxt or solver state has none.")
    said = tuple(layer.said for layer in layers if layer.said is not None)
    return Arrays(arrays, ecosystem="caffe", norm_eps=eps, said=said)


def _layers(net: memoryview) -> list[CaffeLayer]:
    found = []
    for number, wire, value in fields(net):
        if wire != BYTES or number not in (2, 100):
            continue
        found.append(_layer(_bytes(value), old=number == 2))
        if len(found) > MAX_LAYERS:
            raise InputError(f"more than {MAX_LAYERS} layers.")
    return found


def _layer(message: memoryview, *, old: bool) -> CaffeLayer:
    """One layer; `old` is V1, which may hold a V0 layer in field 1."""
    layer = CaffeLayer()
    if old:
        within = [v for n, w, v in fields(message) if n == 1 and w == BYTES]
        name, kind, blobs = (1, 2, 50) if within else (4, 5, 6)
        parts = [(n, w, v) for v in within for n, w, v in fields(_bytes(v))]
        parts += [(n, w, v) for n, w, v in fields(message) if not within]
    else:
        name, kind, blobs = 1, 2, 7
        parts = list(fields(message))
    for number, wire, value in parts:
        if number == kind:
            layer.type = _text(value) if wire == BYTES else str(value)
        if wire != BYTES:
            continue
        if number == name:
            layer.name = _text(value)
        if number == blobs:
            layer.blobs.append(_blob(_bytes(value), layer.name))
        if number == 139 and not old:
            layer.eps = _eps(_bytes(value))
        if len(layer.blobs) > MAX_BLOBS:
            raise InputError(f"layer {layer.name!r} has more than {MAX_BLOBS} blobs.")
    layer.said = said_of(layer.name, layer.type, parts, old=old)
    return layer


def _blob(message: memoryview, layer: str) -> np.ndarray:
    """The array of one blob, copied out of the file once its size is known to be true."""
    held = {"<f4": bytearray(), "<f8": bytearray()}
    sides: dict[int, int] = {}
    shape: list[int] | None = None
    for number, wire, value in fields(message):
        if number in (1, 2, 3, 4) and wire == VARINT:
            sides[number] = signed(cast(int, value))
        elif number in (5, 8) and wire != VARINT:
            # Joined as bytes: blobs of one number are many, and an array of each is large.
            held["<f4" if number == 5 else "<f8"] += _bytes(value)
        elif number == 7 and wire == BYTES:
            shape = _dims(_bytes(value))
    if shape is None:
        shape = [sides.get(number, 1) for number in (1, 2, 3, 4)]
    if held["<f4"] and held["<f8"]:
        raise WireError("a blob of single and double precision")
    numbers = _numbers("<f8" if held["<f8"] else "<f4", held)
    if any(side < 0 for side in shape) or len(shape) > MAX_DIMS or prod(shape) != len(numbers):
        says = times(shape[:MAX_DIMS])
        raise InputError(
            f"a blob of layer {layer!r} says {says}, the file has {len(numbers)} numbers."
        )
    return numbers.astype(numbers.dtype.newbyteorder("="), copy=False).reshape(shape)


def _numbers(dtype: str, held: dict[str, bytearray]) -> np.ndarray:
    data = held[dtype]
    if len(data) % np.dtype(dtype).itemsize:
        raise WireError(f"{len(data)} bytes of {dtype} numbers")
    return np.frombuffer(data, dtype)


def _dims(message: memoryview) -> list[int]:
    """The sides of BlobShape: packed in one field, or one field each."""
    dims: list[int] = []
    for number, wire, value in fields(message):
        if number == 1 and wire == VARINT:
            dims.append(signed(cast(int, value)))
        elif number == 1 and wire == BYTES:
            packed, at = _bytes(value), 0
            while at < len(packed) and len(dims) <= MAX_DIMS:
                side, at = varint(packed, at)
                dims.append(signed(side))
        if len(dims) > MAX_DIMS:
            raise WireError(f"a shape of more than {MAX_DIMS} sides")
    return dims


def _eps(message: memoryview) -> float:
    for number, wire, value in fields(message):
        if number == 3 and wire == FIXED32:
            return float(np.float32(struct.unpack("<f", _bytes(value))[0]))
    return BATCH_NORM_EPS


def _as_torch(layers: list[CaffeLayer]) -> tuple[dict[str, np.ndarray], float | None]:
    """Blobs under PyTorch's roles, and the epsilon of the batch norms."""
    arrays: dict[str, np.ndarray] = {}
    eps: set[float] = set()
    norm = ""
    for layer in layers:
        if layer.type == "BatchNorm":
            norm = layer.name
            eps.add(layer.eps)
            arrays |= _statistics(layer)
        elif layer.type == "Scale" and norm:
            # The Scale behind a BatchNorm is its gamma and beta.
            arrays |= _roles(norm, layer)
            norm = ""
        else:
            norm = ""
            arrays |= _roles(layer.name, layer)
    if len(eps) > 1:
        raise InputError(f"its batch norms have several epsilons: {sorted(eps)}.")
    # Written as single precision: 1e-5 is 9.99999974e-06 in the file.
    return arrays, float(f"{eps.pop():.6g}") if eps else None


def _statistics(layer: CaffeLayer) -> dict[str, np.ndarray]:
    """Mean and variance; Caffe keeps sums, and what to divide them by in a third blob."""
    if len(layer.blobs) != 3 or layer.blobs[2].size != 1:
        raise InputError(f"batch norm {layer.name!r} has not mean, variance and one factor.")
    mean, variance, factor = layer.blobs
    by = 0.0 if factor.item() == 0 else 1 / float(factor.item())
    with np.errstate(all="ignore"):  # what is not finite is refused with its name, later
        return {
            f"{layer.name}.running_mean": (mean.ravel().astype("f8") * by).astype(mean.dtype),
            f"{layer.name}.running_var": (variance.ravel().astype("f8") * by).astype(mean.dtype),
        }


def _roles(name: str, layer: CaffeLayer) -> dict[str, np.ndarray]:
    """Weights and biases; old files have four sides everywhere, ones in front."""
    roles = {f"{name}.{role}": b for role, b in zip(("weight", "bias"), layer.blobs, strict=False)}
    if len(layer.blobs) > 2:
        raise InputError(f"layer {layer.name!r} ({layer.type}) has {len(layer.blobs)} blobs.")
    if f"{name}.bias" in roles:
        roles[f"{name}.bias"] = roles[f"{name}.bias"].ravel()
    weight = roles[f"{name}.weight"]
    if layer.type in _INNER_PRODUCT and weight.ndim == 4 and weight.shape[:2] == (1, 1):
        roles[f"{name}.weight"] = weight.reshape(weight.shape[2], weight.shape[3])
    return roles


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise WireError("a number where bytes are expected")
    return value


def _text(value: Value) -> str:
    try:
        return bytes(_bytes(value)[:200]).decode("utf-8")
    except UnicodeDecodeError:
        raise WireError("a name that is no text") from None
