"""What a .caffemodel says of its layers beside their weights: strides, windows, constants.

Fields, from caffe.proto of BVLC/caffe. LayerParameter: .bottom 3, .top 4, .convolution_param 106,
.lrn_param 118, .pooling_param 121; V1LayerParameter: .bottom 2, .top 3, .convolution_param 10,
.lrn_param 18, .pooling_param 19.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from convarium.interop.readers.model import Said
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

Field = tuple[int, int, Value]
_KINDS = {"Convolution": "conv", "Pooling": "pool", "LRN": "lrn", "Eltwise": "sum"}
_OLD_KINDS = {"4": "conv", "17": "pool", "15": "lrn", "25": "sum"}
_SETTINGS = {"conv": 106, "lrn": 118, "pool": 121}
_OLD_SETTINGS = {"conv": 10, "lrn": 18, "pool": 19}
_MOST = 8  # numbers of a packed field that are read
_POOLINGS = {0: "max", 1: "average"}
# Of a side's setting: the field for both sides, and those for height and for width.
_CONV = {"stride": (6, 13, 14), "pad": (3, 9, 10)}
_POOL = {"kernel": (2, 5, 6), "stride": (3, 7, 8), "pad": (4, 9, 10)}


def said_of(name: str, kind: str, parts: Sequence[Field], *, old: bool) -> Said | None:
    """What a layer's fields say, None for a layer of another kind or one that says nothing.

    Args:
        name: of the layer.
        kind: its type, as the file has it: a word, or the number of an old file.
        parts: the fields of its message.
        old: it is a V1LayerParameter.

    Raises:
        WireError: its settings are no message.
    """
    ours = (_OLD_KINDS if old else _KINDS).get(kind)
    if ours is None:
        return None
    number = (_OLD_SETTINGS if old else _SETTINGS).get(ours)
    messages = [v for n, w, v in parts if n == number and w == BYTES and not isinstance(v, int)]
    below, top = (2, 3) if old else (3, 4)
    ends = {n: _word(v) for n, w, v in parts if n in (below, top) and w == BYTES}
    settings: dict[str, object] = {}
    if messages:
        settings = _READ[ours](_values(messages[-1]))
    elif ours != "sum":
        return None
    return Said(name, ours, settings, ends.get(below, ""), ends.get(top, name))


def _values(message: memoryview) -> dict[int, list[float]]:
    """Numbers by field, the last of each last."""
    found: dict[int, list[float]] = {}
    for number, wire, value in fields(message):
        into = found.setdefault(number, [])
        if wire == VARINT and isinstance(value, int):
            into.append(signed(value))
        elif wire == FIXED32 and not isinstance(value, int):
            into.append(float(f"{struct.unpack('<f', value)[0]:.6g}"))
        elif wire == BYTES and not isinstance(value, int):
            into += _packed(value)
    return found


def _packed(numbers: memoryview) -> list[float]:
    """The first whole numbers of a packed field; a side's setting has two."""
    found: list[float] = []
    at = 0
    while at < len(numbers) and len(found) < _MOST:
        one, at = varint(numbers, at)
        found.append(signed(one))
    return found


def _sides(values: dict[int, list[float]], where: tuple[int, int, int], usual: int) -> list[int]:
    """Height and width of a setting."""
    both = values.get(where[0]) or [usual]
    sides = [both[0], both[-1]]
    for place, number in enumerate(where[1:]):
        sides[place] = values.get(number, [sides[place]])[-1]
    return [int(side) for side in sides]


def _conv(values: dict[int, list[float]]) -> dict[str, object]:
    usual = {"stride": 1, "pad": 0}
    return {word: _sides(values, where, usual[word]) for word, where in _CONV.items()}


def _pool(values: dict[int, list[float]]) -> dict[str, object]:
    usual = {"kernel": 0, "stride": 1, "pad": 0}
    settings: dict[str, object] = {
        word: _sides(values, where, usual[word]) for word, where in _POOL.items()
    }
    settings["pooling"] = _POOLINGS.get(int(values.get(1, [0])[-1]), "random")
    settings["whole"] = bool(values.get(12, [0])[-1])
    settings["up"] = not values.get(13, [0])[-1]
    return settings


def _lrn(values: dict[int, list[float]]) -> dict[str, object]:
    """Caffe multiplies the mean of the squares by alpha; here it is what multiplies their sum."""
    n, alpha, beta, k = (
        values.get(number, [usual])[-1] for number, usual in ((1, 5), (2, 1.0), (3, 0.75), (5, 1.0))
    )
    return {"n": int(n), "k": k, "alpha": alpha / max(n, 1), "beta": beta}


_READ = {"conv": _conv, "pool": _pool, "lrn": _lrn}


def _word(value: Value) -> str:
    if isinstance(value, int):
        raise WireError("a number where a name is expected")
    return bytes(value[:200]).decode("utf-8", "replace")
