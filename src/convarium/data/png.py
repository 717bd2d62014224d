"""PNG's own length check: Pillow takes a stream that ends early, and leaves the rest black."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_WHOLE = ((0, 0, 1, 1),)
# First column, first row, step across, step down of the seven passes (PNG specification, 8.2).
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PIECE = 1 << 20


def refuse_short(data: bytes) -> None:
    """Inflates a PNG's pixels in pieces and counts them.

    Args:
        data: a whole file whose chunks are sound.

    Raises:
        ValueError: there are fewer bytes of pixels than its header says.
        zlib.error: they are not deflated.
    """
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    bits = depth * _CHANNELS[colour]
    wanted = sum(
        rows * (1 + (columns * bits + 7) // 8)
        for left, top, across, down in (_ADAM7 if interlace else _WHOLE)
        for columns in (-(-(width - left) // across),)
        for rows in (-(-(height - top) // down),)
        if columns > 0 and rows > 0
    )
    inflater, found = zlib.decompressobj(), 0
    for part in _pixels(data):
        rest = part
        while rest and found < wanted:
            found += len(inflater.decompress(rest, _PIECE))
            rest = inflater.unconsumed_tail
    if found < wanted:
        raise ValueError(f"it is cut short ({found:,} of {wanted:,} bytes of pixels)")


def _pixels(data: bytes) -> Iterator[bytes]:
    """The IDAT chunks, in order."""
    at = 8
    while at + 8 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            yield data[at + 8 : at + 8 + size]
        at += 12 + size
