"""Writes .caffemodel bytes: a small writer of the wire format, apart from the reader."""

from __future__ import annotations

import struct

import numpy as np


def varint(value: int) -> bytes:
    """Seven bits a byte; a negative number as 64 bits of two's complement."""
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def block(number: int, data: bytes | str) -> bytes:
    """A field of bytes."""
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(field: int, value: int) -> bytes:
    """A field with one whole number."""
    return varint(field << 3) + varint(value)


def blob(array: np.ndarray, *, old: bool = False, packed: bool = True) -> bytes:
    """A BlobProto with a shape, or with four sides as old files have."""
    array = np.asarray(array, dtype="<f4")
    if old:
        sides = (1,) * (4 - array.ndim) + array.shape
        head = b"".join(number(field, side) for field, side in enumerate(sides, start=1))
    else:
        head = block(7, block(1, b"".join(varint(side) for side in array.shape)))
    if packed:
        return head + block(5, array.tobytes())
    return head + b"".join(varint(5 << 3 | 5) + struct.pack("<f", v) for v in array.flat)


def layer(name: str, kind: str, arrays: list[np.ndarray], *, eps: float | None = None) -> bytes:
    """A LayerParameter in its field of NetParameter."""
    message = block(1, name) + block(2, kind) + b"".join(block(7, blob(a)) for a in arrays)
    if eps is not None:
        message += block(139, varint(3 << 3 | 5) + struct.pack("<f", eps))
    return block(100, message)


def layer_v1(name: str, kind: int, arrays: list[np.ndarray]) -> bytes:
    """A V1LayerParameter: kinds are numbers (4 a convolution, 14 an inner product)."""
    message = block(4, name) + number(5, kind)
    return block(2, message + b"".join(block(6, blob(a, old=True)) for a in arrays))


def layer_v0(name: str, kind: str, arrays: list[np.ndarray]) -> bytes:
    """A V0LayerParameter in a V1LayerParameter."""
    message = block(1, name) + block(2, kind)
    message += b"".join(block(50, blob(a, old=True, packed=False)) for a in arrays)
    return block(2, block(1, message))


def snapshot(name: str, kind: str, arrays: list[np.ndarray], *, old: bool) -> bytes:
    """A LayerParameter as a solver leaves it: bottoms, tops, rates and phase around the blobs."""
    message = block(1, name) + block(2, kind) + block(3, "below") + block(4, name)
    message += number(10, 0) + varint(5 << 3 | 5) + struct.pack("<f", 1.0)  # phase, loss weight
    message += b"".join(block(7, blob(a, old=old)) for a in arrays)
    message += block(6, varint(3 << 3 | 5) + struct.pack("<f", 2.0))  # a rate of learning
    return block(100, message + block(8, number(1, 0)) + block(106, number(1, 20)))
