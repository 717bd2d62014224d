"""Files that must be refused, each with a part of the sentence that must be said."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.hostile import raw
from data.hostile.good import RGB, Kind, encoded, of

EMPTY, CUT, NONE, BIG = "empty", "", "no JPEG, PNG, WebP, BMP or GIF", "megapixels"
_NOISY = np.random.default_rng(0).integers(0, 256, (48, 48, 3))  # compresses badly: a long file
_CONTENTS = {
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
    "svg_xml": (b"<?xml version='1.0'?><svg/>", "an XML"),
    "pdf": (b"%PDF-1.7\n1 0 obj", "a PDF"),
    "tiff": (b"II*\0" + bytes(100), "a TIFF"),
    "tiff_big_endian": (b"MM\0*" + bytes(100), "a TIFF"),
    "tiff_of_raws": (b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "a camera's raw"),
    "raw_canon": (b"\0\0\0\x18ftypcrx " + bytes(100), "a camera's raw"),
    "raw_fuji": (b"FUJIFILMCCD-RAW 0201" + bytes(100), "a camera's raw"),
    "raw_olympus": (b"IIRO\x08\0\0\0" + bytes(100), "a camera's raw"),
    "raw_panasonic": (b"IIU\0\x18\0\0\0" + bytes(100), "a camera's raw"),
    "tiff_of_64_bits": (b"II+\0\x08\0\0\0" + bytes(100), "a TIFF"),
    "heic_of_10_bits": (b"\0\0\0\x18ftypheix" + bytes(100), "a HEIC"),
    "heic_film": (b"\0\0\0\x18ftypmsf1" + bytes(100), "a HEIC or AVIF"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(100), "a HEIC"),
    "avif": (b"\0\0\0\x18ftypavif" + bytes(100), "an AVIF"),
    "psd": (b"8BPS\0\1" + bytes(100), "a Photoshop"),
    "icon_of_apple": (b"icns" + bytes(100), "an icon"),
    "cursor": (b"\0\0\2\0\1\0" + bytes(100), "a cursor"),
    "targa": (b"\0\0\2" + bytes(100), "a Targa"),
    "gimp": (b"gimp xcf v011" + bytes(100), "a GIMP"),
    "icon": (b"\0\0\1\0\1\0" + bytes(100), "an icon"),
    "jp2": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "a JPEG 2000"),
    "jxl": (b"\xff\x0a" + bytes(100), "a JPEG XL"),
    "ppm_in_words": (b"P3\n1 1\n255\n1 2 3\n", "a portable pixmap"),
    "ppm": (b"P6 1 1 255\nabc", "a portable pixmap"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript"),
    "page": (b"<!DOCTYPE html><html></html>", "a web page"),
    "answer": (b"HTTP/1.1 404 Not Found\r\n\r\n", "a web server"),
    "thumbs": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "Thumbs.db"),
    "film_avi": (b"RIFF\0\1\0\0AVI LIST" + bytes(100), "a film"),
    "zip": (b"PK\3\4" + bytes(100), "a ZIP"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "a gzip"),
    "program": (b"\x7fELF" + bytes(100), "a program"),
    "dos_program": (b"MZ" + bytes(100), "a program"),
    "text": (b"just some words\n" * 9, NONE),
    "json": (b'{"a": 1}', NONE),
    "film": (b"\0\0\0\x18ftypmp42" + bytes(100), "a film, no JPEG"),
    "qoi": (b"qoif\0\0\0\x10\0\0\0\x10\3\0" + bytes(100), "a QOI"),
    "exr": (b"v/1\1" + bytes(100), "an OpenEXR"),
    "dds": (b"DDS |\0\0\0" + bytes(100), "a DirectDraw"),
    "beside": (b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(100), "what macOS keeps"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "git lfs pull"),
    "zeros": (bytes(1000), NONE),
    "noise": (bytes(np.random.default_rng(1).integers(0, 256, 1000, dtype=np.uint8)), NONE),
}


def empty() -> Iterator[Kind]:
    """No bytes, one byte, the first bytes alone."""
    starts = {"jpg": b"\xff\xd8\xff", "png": raw.PNG, "gif": b"GIF89a", "bmp": b"BM"}
    starts["webp"] = b"RIFF\x10\0\0\0WEBP"
    for extension, start in starts.items():
        yield Kind(f"empty.{extension}", of(b""), reason=EMPTY)
        yield Kind(f"one_byte.{extension}", of(start[:1]))
        yield Kind(f"start_alone.{extension}", of(start))


def cut() -> Iterator[Kind]:
    """Each format cut short at many places: of all its bytes, this many thousandths are left."""
    files = {
        "jpg": encoded(_NOISY, "JPEG", quality=90),
        "progressive.jpg": encoded(_NOISY, "JPEG", quality=90, progressive=True),
        "png": encoded(_NOISY, "PNG"),
        "webp": encoded(_NOISY, "WEBP", quality=90),
        "lossless.webp": encoded(_NOISY, "WEBP", lossless=True),
        "gif": encoded(_NOISY, "GIF"),
        "bmp": raw.bmp24(_NOISY),
    }
    for extension, data in files.items():
        for left in (5, 30, 100, 250, 500, 750, 900, 980):
            yield Kind(f"cut_at_{left:03}.{extension}", of(data[: len(data) * left // 1000]))
    yield Kind("cut_before_the_end.png", of(files["png"][:-12]))


def contents() -> Iterator[Kind]:
    """Other things under a picture's name, and other pictures under their own."""
    for name, (data, reason) in _CONTENTS.items():
        yield Kind(f"{name}.png", of(data), reason=reason)
    for extension in ("svg", "tiff", "heic", "pdf", "ico", "dng", "nef"):
        yield Kind(f"own_name.{extension}", of(b"anything"), reason="convert it to PNG")


def too_big() -> Iterator[Kind]:
    """Refused by what the header says, before anything is decoded."""
    for width, height in ((5001, 5000), (60_000, 60_000), (1, 25_000_001)):
        data = raw.PNG + raw.ihdr(width, height) + raw.chunk(b"IDAT", zlib.compress(b""))
        yield Kind(f"{width}x{height}.png", of(data), reason=BIG)
    yield Kind("big.jpg", of(raw.jpeg_header(65_500, 65_500)), reason=BIG)
    yield Kind("big_screen.gif", of(raw.gif((65_535, 65_535), (1, 1))), reason=BIG)
    yield Kind("big_frame.gif", of(raw.gif((1, 1), (60_000, 60_000))), reason=BIG)
    inner = encoded(RGB, "WEBP", lossless=True)[12:]
    frame = bytes(6) + struct.pack("<I", 15)[:3] * 2 + bytes(4) + inner
    moving = raw.riff_chunk(b"ANIM", bytes(6)) + raw.riff_chunk(b"ANMF", frame)
    yield Kind("big_canvas.webp", of(raw.riff(raw.vp8x(16_383, 16_383, 2), moving)), reason=BIG)
    yield Kind("big.webp", of(raw.riff(raw.vp8l(16_383, 16_383))))
    yield Kind("big.bmp", of(raw.bmp(60_000, 60_000, 24, b"")), reason=BIG)
    yield Kind("big_runs.bmp", of(raw.bmp(60_000, 60_000, 8, b"\0\1", rle=1)), reason=BIG)
    yield Kind("sparse.bmp", _sparse, reason="million bytes")


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(300_000_000)  # takes no room on the disk


def bombs() -> Iterator[Kind]:
    """Small files that would take much memory or time."""
    text = zlib.compress(bytes(100_000_000))
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0")):
        data = raw.png(RGB, 8, 2, before=raw.chunk(kind, head + text))
        yield Kind(f"bomb_{kind.decode()}.png", of(data), reason="unpack to more than a megabyte")
    segments = raw.jpeg_segments(encoded(_NOISY, "JPEG", progressive=True))
    last = [part for part in segments if part[0] == 0xDA][-1]
    yield Kind("scans.jpg", of(raw.jpeg(segments + [last] * 200)), reason="scans")


def broken() -> Iterator[Kind]:
    """Files that are wrong inside."""
    good = raw.png(RGB, 8, 2)
    idat = good.index(b"IDAT")
    header = raw.PNG + raw.ihdr(16, 16)
    end = raw.chunk(b"IEND", b"")
    lines = zlib.compress(b"".join(b"\x09" + bytes(48) for _ in range(16)))
    yield Kind("sum_of_pixels.png", of(good[: idat + 9] + b"\x55" + good[idat + 10 :]))
    yield Kind("sum_of_header.png", of(good[:20] + b"\x07" + good[21:]))
    yield Kind("no_pixels.png", of(header + end))
    yield Kind("not_deflated.png", of(header + raw.chunk(b"IDAT", b"no zlib") + end))
    yield Kind("filter_9.png", of(header + raw.chunk(b"IDAT", lines) + end))
    yield Kind("no_width.png", of(raw.PNG + raw.ihdr(0, 16) + good[33:]))
    yield Kind("long_chunk.png", of(header + b"\x7f\xff\xff\xff" + b"IDAT" + bytes(50)))
    few = zlib.compress(bytes(49 * 4))
    yield Kind("too_few_lines.png", of(header + raw.chunk(b"IDAT", few) + end))
    key = raw.chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
    wide = raw.png(RGB * 257, 16, 2, before=key)
    yield Kind("16_bit_key.png", of(wide), reason="convert it to 8 bits")
    apple = raw.PNG + raw.chunk(b"CgBI", b"P\0 \2") + good[8:]
    yield Kind("packed_for_phones.png", of(apple), reason="as Xcode packs it")
    segments = raw.jpeg_segments(encoded(RGB, "JPEG"))
    for name, marker in (("frame", 0xC0), ("tables", 0xDB), ("scan", 0xDA)):
        left = [part for part in segments if part[0] != marker]
        yield Kind(f"without_{name}.jpg", of(raw.jpeg(left)))
    twelve = bytearray(encoded(RGB, "JPEG"))
    frame = twelve.index(b"\xff\xc0")
    twelve[frame + 1], twelve[frame + 4] = 0xC1, 12
    yield Kind("12_bits.jpg", of(bytes(twelve)), reason="a JPEG of 12 bits")
    yield Kind("no_height.jpg", of(raw.jpeg_header(16, 0)))
    yield Kind("nothing_inside.jpg", of(b"\xff\xd8\xff\xd9"))
    yield Kind("no_frame.gif", of(raw.gif((16, 16))))
    yield Kind("few_pixels.gif", of(raw.gif((16, 16), (16, 16))))
    yield Kind("7_bits.bmp", of(raw.bmp(16, 16, 7, bytes(1000))))
    yield Kind("no_rows.bmp", of(raw.bmp(16, 16, 24, b"")))
    yield Kind("less_than_no_width.bmp", of(raw.bmp(-16, 16, 24, bytes(1000))))
    yield Kind("header_of_13.bmp", of(b"BM" + bytes(12) + b"\x0d" + bytes(100)))
    yield Kind("noise.webp", of(raw.riff(raw.riff_chunk(b"VP8 ", bytes(range(200))))))
    yield Kind("too_long.webp", of(b"RIFF\xff\xff\xff\x7fWEBPVP8 " + bytes(100)))
    yield Kind("no_chunks.webp", of(raw.riff()))


def no_files() -> Iterator[Kind]:
    """What a file system holds beside files."""
    yield Kind("loop.png", lambda path: path.symlink_to(path.name), reason="leads to itself")
    yield Kind("dangling.png", lambda path: path.symlink_to("nowhere"), reason="link to nothing")
    yield Kind("pipe.png", os.mkfifo, reason="a pipe")
    yield Kind("socket.png", _socket, reason="a socket")
    yield Kind("zero.png", lambda path: path.symlink_to("/dev/zero"), reason="a device")
    yield Kind("tty.png", lambda path: path.symlink_to("/dev/tty"), reason="a device")


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's whole path must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def bad_kinds() -> Iterator[Kind]:
    """All of them."""
    for group in (empty, cut, contents, too_big, bombs, broken, no_files):
        yield from group()
