"""Files written byte by byte, by the formats' own specifications and without Pillow."""

from __future__ import annotations

import struct
import zlib

import numpy as np

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
ADAM7 += ((0, 1, 1, 2),)  # x0, y0, step across, step down
PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """A PNG's header chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(
    samples: np.ndarray,
    depth: int,
    colour: int,
    *,
    before: bytes = b"",
    interlaced: bool = False,
    after: bytes = b"",
) -> bytes:
    """A PNG of (H, W, C) samples, each in 0 .. 2**depth - 1; `before` are chunks before IDAT."""
    height, width = samples.shape[:2]
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        lines = b"".join(_lines(part, depth) for part in passes if part.size)
    else:
        lines = _lines(samples, depth)
    head = PNG + ihdr(width, height, depth, colour, int(interlaced)) + before
    return head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"") + after


def _lines(samples: np.ndarray, depth: int) -> bytes:
    rows = samples.reshape(len(samples), -1)
    if depth == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    else:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        packed = [np.packbits(row.ravel()).tobytes() for row in bits]
    return b"".join(b"\0" + line for line in packed)


def bmp(width: int, height: int, bits: int, body: bytes, *, palette: bytes = b"", rle=0) -> bytes:
    """A BMP with the 40-byte header; a negative height puts the top row first."""
    start = 54 + len(palette)
    colours = len(palette) // 4
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, rle, len(body), 2835, 2835, colours, 0
    )
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + info + palette + body


def bmp24(rgb: np.ndarray, *, top_down: bool = False) -> bytes:
    """A 24-bit BMP of (H, W, 3)."""
    height, width = rgb.shape[:2]
    pad = bytes(-3 * width % 4)
    rows = [row[:, ::-1].tobytes() + pad for row in rgb.astype(np.uint8)]
    body = b"".join(rows if top_down else rows[::-1])
    return bmp(width, -height if top_down else height, 24, body)


def riff(*chunks: bytes) -> bytes:
    """A WebP file of these chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a WebP, padded to an even length."""
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def vp8x(width: int, height: int, flags: int = 0) -> bytes:
    """The chunk that says an extended WebP's size."""
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return riff_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides)


def vp8l(width: int, height: int) -> bytes:
    """The header of a lossless WebP, without its pixels."""
    size = (width - 1) | (height - 1) << 14
    return riff_chunk(b"VP8L", b"\x2f" + struct.pack("<I", size) + bytes(8))


def gif(screen: tuple[int, int], frame: tuple[int, int] | None = None) -> bytes:
    """A GIF whose frame claims a size and has next to no pixels."""
    head = b"GIF89a" + struct.pack("<HH", *screen) + b"\x80\0\0" + bytes(range(6))
    if frame is None:
        return head + b";"
    return head + b"," + struct.pack("<HHHH", 0, 0, *frame) + b"\0\x02\x02\x4c\x01\0;"


def gif_frame(
    screen: tuple[int, int],
    places: np.ndarray,
    at: tuple[int, int],
    palette: bytes,
    *,
    clear: int | None = None,
) -> bytes:
    """A GIF of one frame of palette places (height, width) at (left, top); codes of nine bits."""
    codes = [256, *(int(place) for place in places.flat), 257]  # under 256 of them: none is longer
    stream = sum(code << 9 * number for number, code in enumerate(codes))
    data = stream.to_bytes((9 * len(codes) + 7) // 8, "little")
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0xF7, 2, 0) + palette.ljust(768, b"\0")
    if clear is not None:
        head += b"\x21\xf9\4\1\0\0" + bytes([clear]) + b"\0"
    head += b"," + struct.pack("<HHHHB", *at, places.shape[1], places.shape[0], 0) + b"\x08"
    blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
    return head + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0;"


def jpeg_header(width: int, height: int) -> bytes:
    """The start of a JPEG up to its frame header."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\1\x11\0\2\x11\1\3\x11\1"
    jfif = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    return b"\xff\xd8" + jfif + b"\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame


def jpeg_segments(data: bytes) -> list[tuple[int, bytes]]:
    """(marker, segment with its marker and, behind SOS, the coded data) of a JPEG."""
    found, at = [], 2
    while at < len(data) and data[at + 1] != 0xD9:
        marker = data[at + 1]
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        if marker == 0xDA:
            while not (data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))):
                end += 1
        found.append((marker, data[at:end]))
        at = end
    return found


def jpeg(segments: list[tuple[int, bytes]]) -> bytes:
    """A JPEG of these segments."""
    return b"\xff\xd8" + b"".join(data for _, data in segments) + b"\xff\xd9"
