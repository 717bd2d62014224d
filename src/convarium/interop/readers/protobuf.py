"""The wire format of Protocol Buffers, as far as reading it takes: no copy, no recursion.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10


class WireError(ValueError):
    """The bytes are no message; the text says where."""


Value = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, int, Value]]:
    """The fields of one message, in order: number, wire type, value.

    A value is an int for VARINT, else the bytes as they stand, a view that copies nothing. A
    message within is a value of type BYTES: whoever knows its field's number calls again.

    Raises:
        WireError: a length beyond the end, an over-long number, a group or an unknown type.

    >>> [(number, wire, bytes(value)) for number, wire, value in fields(memoryview(b"\\x0a\\x01a"))]
    [(1, 2, b'a')]
    """
    at, end = 0, len(message)
    while at < end:
        key, at = varint(message, at)
        number, wire = key >> 3, key & 7
        if number == 0 or number >= 1 << 29:
            raise WireError(f"field number {number} at byte {at}")
        if wire == VARINT:
            value, at = varint(message, at)
            yield number, wire, value
            continue
        length, at = _length(message, wire, at)
        if length > end - at:
            raise WireError(f"field {number} says {length} bytes, {end - at} are left")
        yield number, wire, message[at : at + length]
        at += length


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """One number of 7 bits a byte, and where the next thing begins.

    >>> varint(memoryview(b"\\xac\\x02"), 0)
    (300, 2)
    """
    value = 0
    for place in range(MAX_VARINT_BYTES):
        if at + place >= len(message):
            raise WireError(f"a number at byte {at} is cut")
        byte = message[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise WireError(f"a number at byte {at} does not end")


def signed(value: int) -> int:
    """An int32 or int64 field's number: the upper half of 64 bits is negative.

    >>> signed((1 << 64) - 1)
    -1
    """
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value


def _length(message: memoryview, wire: int, at: int) -> tuple[int, int]:
    if wire == BYTES:
        return varint(message, at)
    if wire == FIXED32:
        return 4, at
    if wire == FIXED64:
        return 8, at
    raise WireError(f"wire type {wire} at byte {at}")
