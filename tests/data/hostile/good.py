"""Odd pictures that must be read, each with the pixels it must give, drawn with NumPy alone."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data.hostile import raw

SIDE = 16
HALF = SIDE // 2
COLOURS = ((200, 30, 40), (30, 160, 50), (20, 60, 210), (230, 220, 40))
GREYS = (20, 90, 160, 240)


@dataclass(frozen=True)
class Kind:
    """One file: its name, how it is written, and what must come of it.

    `pixels` is the (16, 16, 3) picture it must give within `off_by` levels; None for a file that
    must be refused with `reason` in the sentence.
    """

    name: str | bytes
    write: Callable[[Path], object]
    pixels: np.ndarray | None = None
    off_by: int = 0
    reason: str = ""


def quarters(values: tuple) -> np.ndarray:
    """(16, 16, C): one value in each quarter, in the order of reading."""
    picture = np.empty((SIDE, SIDE, len(np.atleast_1d(values[0]))), dtype=np.int64)
    for at, value in enumerate(values):
        y, x = divmod(at, 2)
        picture[y * HALF : (y + 1) * HALF, x * HALF : (x + 1) * HALF] = value
    return picture


RGB = quarters(COLOURS)
GREY = quarters(GREYS)


def of(data: bytes) -> Callable[[Path], object]:
    """Writes these bytes."""
    return lambda path: path.write_bytes(data)


def encoded(array: np.ndarray, kind: str, mode: str = "RGB", **options: object) -> bytes:
    """The picture as Pillow writes it."""
    buffer = io.BytesIO()
    image = Image.fromarray(
        array.astype(np.uint8)[..., 0] if mode == "L" else array.astype(np.uint8)
    )
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def three(grey: np.ndarray) -> np.ndarray:
    """Grey (H, W, 1) as (H, W, 3)."""
    return np.repeat(grey, 3, axis=2)


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Alpha in [0, 1] laid over white."""
    return colour * alpha + 255 * (1 - alpha)


def pngs() -> Iterator[Kind]:
    """Every colour type and depth that the PNG specification has."""
    for depth in (1, 2, 4, 8, 16):
        most = 2**depth - 1
        levels = quarters(tuple(round(g / 255 * most) for g in GREYS))
        grey = three(levels * 255 / most)
        yield Kind(f"grey{depth}.png", of(raw.png(levels, depth, 0)), grey, 1)
        yield Kind(
            f"grey{depth}_adam7.png", of(raw.png(levels, depth, 0, interlaced=True)), grey, 1
        )
        clear = levels[0, -1, 0]  # the level of the quarter at top right
        key = raw.chunk(b"tRNS", struct.pack(">H", clear))
        data = raw.png(levels, depth, 0, before=key)
        yield Kind(f"grey{depth}_key.png", of(data), np.where(levels == clear, 255, grey), 1)
    alpha = quarters((255, 128, 0, 51))
    for depth, factor in ((8, 1), (16, 257)):
        for name, colour, picture in (("la", 4, GREY), ("rgba", 6, RGB)):
            samples = np.concatenate([picture, alpha], 2) * factor
            expected = over_white(three(picture) if name == "la" else picture, alpha / 255)
            yield Kind(f"{name}{depth}.png", of(raw.png(samples, depth, colour)), expected, 2)
        yield Kind(f"rgb{depth}.png", of(raw.png(RGB * factor, depth, 2)), RGB, 1)
    yield Kind("rgb8_adam7.png", of(raw.png(RGB, 8, 2, interlaced=True)), RGB)
    key = raw.chunk(b"tRNS", struct.pack(">3H", *COLOURS[1]))
    expected = quarters((COLOURS[0], (255, 255, 255), *COLOURS[2:]))
    yield Kind("rgb8_key.png", of(raw.png(RGB, 8, 2, before=key)), expected)
    for depth in (2, 4, 8):
        yield from _palettes(depth)
    big = raw.PNG + raw.ihdr(5000, 5000, 1, 0)
    lines = zlib.compress(bytes(626) * 5000)
    big += raw.chunk(b"IDAT", lines) + raw.chunk(b"IEND", b"")
    yield Kind("just_25_megapixels.png", of(big), np.zeros_like(RGB))


def _palettes(depth: int) -> Iterator[Kind]:
    places = quarters((0, 1, 2, 3))
    plte = raw.chunk(b"PLTE", bytes(np.array(COLOURS, dtype=np.uint8)))
    yield Kind(f"palette{depth}.png", of(raw.png(places, depth, 3, before=plte)), RGB)
    trns = raw.chunk(b"tRNS", bytes([255, 0, 128]))  # the fourth is opaque
    alpha = quarters((255, 0, 128, 255)) / 255
    data = raw.png(places, depth, 3, before=plte + trns)
    yield Kind(f"palette{depth}_alpha.png", of(data), over_white(RGB, alpha), 1)


# EXIF 2.3, tag 0x0112: what of the upright picture is stored as row 0 and column 0.
_STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p.transpose(1, 0, 2)[::-1],
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: p.transpose(1, 0, 2)[:, ::-1],
}


def exif(orientation: int, kind: int = 3) -> bytes:
    """EXIF data with one tag, written by hand (TIFF, big-endian, type 3 is SHORT)."""
    entry = struct.pack(">HHIHH", 0x0112, kind, 1, orientation, 0)
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry + bytes(4)


def rotated() -> Iterator[Kind]:
    """All eight orientations in the formats that carry EXIF; then EXIF data that say nothing."""
    for turn, stored in _STORED.items():
        wide = np.ascontiguousarray(stored(RGB))
        jpeg = encoded(wide, "JPEG", quality=100, subsampling=0, exif=exif(turn))
        yield Kind(f"turn{turn}.jpg", of(jpeg), RGB, 4)
        tag = raw.chunk(b"eXIf", exif(turn)[6:])
        yield Kind(f"turn{turn}.png", of(raw.png(wide, 8, 2, before=tag)), RGB)
        webp = encoded(wide, "WEBP", lossless=True, exif=exif(turn))
        yield Kind(f"turn{turn}.webp", of(webp), RGB)
    for name, data in (
        ("turn_0", exif(0)),
        ("turn_9", exif(9)),
        ("turn_of_wrong_type", exif(6, kind=99)),
        ("exif_cut", exif(6)[:15]),
        ("exif_noise", b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(20)),
        ("exif_empty", b"Exif\0\0"),
    ):
        jpeg = encoded(RGB, "JPEG", quality=100, subsampling=0, exif=data)
        yield Kind(f"{name}.jpg", of(jpeg), RGB, 4)


# The picture as libjpeg-turbo 2.1.5 writes it with arith_code, at quality 100 without subsampling.
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
    "AQEBAQEBAQEBAQEBAQEBAQEBAQH/2wBDAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
    "AQEBAQEBAQEBAQEBAQEBAQEBAQH/yQARCAAQABADAREAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AO5P"
    "pxPTpM3KfqT6K26SOS2A02lC0OrEtd4KgP/Z"
)


def jpegs() -> Iterator[Kind]:
    """JPEG's kinds of coding and colour."""
    exact = {"quality": 100, "subsampling": 0}
    yield Kind("plain.jpg", of(encoded(RGB, "JPEG", **exact)), RGB, 4)
    yield Kind("progressive.jpg", of(encoded(RGB, "JPEG", progressive=True, **exact)), RGB, 4)
    yield Kind("rgb_inside.jpg", of(encoded(RGB, "JPEG", quality=100, keep_rgb=True)), RGB, 4)
    restarts = encoded(RGB, "JPEG", restart_marker_blocks=1, **exact)
    yield Kind("restarts.jpg", of(restarts), RGB, 4)
    yield Kind("comment.jpg", of(encoded(RGB, "JPEG", comment=b"c" * 60_000, **exact)), RGB, 4)
    yield Kind("half_colour.jpeg", of(encoded(RGB, "JPEG", quality=100, subsampling=2)), RGB, 24)
    whole = raw.jpeg_segments(encoded(RGB, "JPEG", **exact))
    bare = raw.jpeg([part for part in whole if part[0] != 0xC4])  # as motion JPEG leaves it out
    yield Kind("standard_codes.jpg", of(bare), RGB, 4)
    grey = encoded(GREY, "JPEG", "L", quality=100)
    yield Kind("grey.jpe", of(grey), three(GREY), 3)
    yield from _inks()
    yield Kind("arithmetic.jpg", of(ARITHMETIC), RGB, 4)
    filled = b"".join(b"\xff\xff\xff" + data for _, data in whole)
    yield Kind("fill_bytes.jpg", of(b"\xff\xd8" + filled + b"\xff\xff\xd9"), RGB, 4)
    # A phone's film behind its photo: any bytes, here those that begin a scan.
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\x0c" * 500
    yield Kind("film_behind.jpg", of(encoded(RGB, "JPEG", **exact) + film), RGB, 4)
    frames = [Image.fromarray(a.astype(np.uint8)) for a in (RGB, 255 - RGB)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "MPO", save_all=True, append_images=frames[1:], **exact)
    both = buffer.getvalue()
    yield Kind("stereo.jpg", of(both), RGB, 4)
    yield Kind("stereo.mpo", of(both), RGB, 4)
    yield Kind("second_cut.jpg", of(both[:-300]), RGB, 4)
    table = both.index(b"MPF\0") + 4
    yield Kind("stereo_lies.jpg", of(both[:table] + bytes(8) + both[table + 8 :]), RGB, 4)


def _inks() -> Iterator[Kind]:
    """Four inks as Adobe stores them (255 is no ink), with and without Adobe's own marker."""
    inks = quarters(((0, 200, 180, 30), (190, 0, 160, 60), (220, 150, 0, 20), (10, 20, 200, 0)))
    paper = 255 - inks
    expected = paper[..., :3] * paper[..., 3:] / 255
    buffer = io.BytesIO()
    Image.fromarray(inks.astype(np.uint8), mode="CMYK").save(buffer, "JPEG", quality=100)
    segments = raw.jpeg_segments(buffer.getvalue())
    assert any(marker == 0xEE for marker, _ in segments), "Pillow writes Adobe's marker"
    yield Kind("cmyk_adobe.jpg", of(buffer.getvalue()), expected, 6)
    bare = [part for part in segments if part[0] != 0xEE]
    yield Kind("cmyk_without_marker.jpg", of(raw.jpeg(bare)), expected, 6)
    # Transform 2: the first three are luma and colour differences of what is stored otherwise.
    luma, blue, red = 120, 150, 100
    stored = np.array(
        [
            luma + 1.402 * (red - 128),
            luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128),
            luma + 1.772 * (blue - 128),
        ]
    )
    one = np.full((SIDE, SIDE, 4), (255 - luma, 255 - blue, 255 - red, 0), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(one, mode="CMYK").save(buffer, "JPEG", quality=100)
    ycck = [
        (marker, data[:-1] + b"\2" if marker == 0xEE else data)
        for marker, data in raw.jpeg_segments(buffer.getvalue())
    ]
    # Adobe: libjpeg gives 255 minus the RGB of the transform, and those are inverted inks.
    expected = np.broadcast_to(255 - stored, (SIDE, SIDE, 3))
    yield Kind("ycck.jpg", of(raw.jpeg(ycck)), expected, 4)


def others() -> Iterator[Kind]:
    """BMP, GIF and WebP; animations, of which the first frame counts."""
    yield Kind("plain.bmp", of(raw.bmp24(RGB)), RGB)
    yield Kind("top_down.bmp", of(raw.bmp24(RGB, top_down=True)), RGB)
    palette = b"".join(bytes((b, g, r, 0)) for r, g, b in COLOURS)
    places = quarters((0, 1, 2, 3)).astype(np.uint8)[::-1]
    yield Kind("palette.bmp", of(raw.bmp(16, 16, 8, places.tobytes(), palette=palette)), RGB)
    runs = b"".join(bytes([8, row[0, 0], 8, row[-1, 0], 0, 0]) for row in places) + b"\0\1"
    yield Kind("runs.bmp", of(raw.bmp(16, 16, 8, runs, palette=palette, rle=1)), RGB)
    wide = np.concatenate([RGB[::-1, :, ::-1], np.zeros_like(GREY)], 2).astype(np.uint8)
    yield Kind("32_bits.bmp", of(raw.bmp(16, 16, 32, wide.tobytes())), RGB)
    yield Kind("plain.gif", of(encoded(RGB, "GIF")), RGB)
    yield Kind("lossless.webp", of(encoded(RGB, "WEBP", lossless=True)), RGB)
    large = np.repeat(np.repeat(RGB, 8, 0), 8, 1)  # so that no edge blurs what is looked at
    yield Kind("lossy.webp", of(encoded(large, "WEBP", quality=100)), RGB, 10)
    alpha = quarters((255, 128, 0, 51))
    rgba = np.concatenate([RGB, alpha], 2)
    webp = encoded(rgba, "WEBP", lossless=True, exact=True)
    yield Kind("alpha.webp", of(webp), over_white(RGB, alpha / 255), 2)
    clear = Image.fromarray(quarters((0, 1, 2, 3)).astype(np.uint8)[..., 0], mode="P")
    clear.putpalette(bytes(np.array(COLOURS, dtype=np.uint8)))
    buffer = io.BytesIO()
    clear.save(buffer, "GIF", transparency=2)
    expected = quarters((*COLOURS[:2], (255, 255, 255), COLOURS[3]))
    yield Kind("clear.gif", of(buffer.getvalue()), expected)
    yield from _small_frames()
    first, second = (Image.fromarray(a.astype(np.uint8)) for a in (RGB, 255 - RGB))
    for kind, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})):
        buffer = io.BytesIO()
        first.save(buffer, kind, save_all=True, append_images=[second], duration=40, **options)
        yield Kind(f"animated.{kind.lower()}", of(buffer.getvalue()), RGB)
    buffer = io.BytesIO()
    first.save(buffer, "PNG", save_all=True, default_image=True, append_images=[second, first])
    yield Kind("animated_with_cover.png", of(buffer.getvalue()), RGB)


def _small_frames() -> Iterator[Kind]:
    """GIFs whose frame leaves some of the picture free, which is clear; a BMP of alpha 0."""
    palette = bytes(np.array(COLOURS, dtype=np.uint8))
    places, white = np.full((8, 8), 1), (255, 255, 255)
    expected = quarters((white, COLOURS[1], white, white))
    yield Kind("corner.gif", of(raw.gif_frame((16, 16), places, (8, 0), palette)), expected)
    clear = raw.gif_frame((16, 16), places, (8, 0), palette, clear=3)
    yield Kind("corner_clear.gif", of(clear), expected)
    pixels = np.concatenate([RGB[::-1, :, ::-1], np.zeros_like(GREY)], 2).astype(np.uint8)
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 124, 16, 16, 1, 32, 3, 1024, 0, 0, 0, 0) + masks
    start = struct.pack("<IHHI", 138 + 1024, 0, 0, 138)
    data = b"BM" + start + head.ljust(124, b"\0") + pixels.tobytes()
    yield Kind("alpha_0.bmp", of(data), RGB)


def shapes() -> Iterator[Kind]:
    """One pixel, and one row or column of many."""
    one = COLOURS[0]
    for kind in ("png", "bmp", "gif", "webp", "jpg"):
        options = {"lossless": True} if kind == "webp" else {"quality": 100}
        word = {"jpg": "JPEG"}.get(kind, kind.upper())
        options = options if word in ("WEBP", "JPEG") else {}
        for width, height in ((1, 1), (1, 3000), (3000, 1)):
            data = encoded(np.full((height, width, 3), one), word, **options)
            flat = np.broadcast_to(one, RGB.shape)
            yield Kind(f"{width}x{height}.{kind}", of(data), flat, 3 if kind == "jpg" else 0)


def disguised() -> Iterator[Kind]:
    """Extensions that lie, files of two kinds at once, and names that are hard to write."""
    png, jpeg = raw.png(RGB, 8, 2), encoded(RGB, "JPEG", quality=100, subsampling=0)
    gif, webp = encoded(RGB, "GIF"), encoded(RGB, "WEBP", lossless=True)
    yield Kind("a_png.jpg", of(png), RGB)
    yield Kind("a_jpeg.png", of(jpeg), RGB, 4)
    yield Kind("a_webp.gif", of(webp), RGB)
    yield Kind("a_gif.bmp", of(gif), RGB)
    yield Kind("a_bmp.webp", of(raw.bmp24(RGB)), RGB)
    yield Kind("shouting.PNG", of(png), RGB)
    script = b"<script>alert(1)</script>"
    archive = b"PK\3\4" + bytes(26) + b"PK\5\6" + bytes(18)
    yield Kind("png_and_zip.png", of(png + archive), RGB)
    yield Kind("jpeg_and_page.jpg", of(jpeg + script), RGB, 4)
    yield Kind("gif_and_script.gif", of(gif + b"/*" + script + b"*/"), RGB)
    yield Kind("png_and_jpeg.png", of(png + jpeg), RGB)
    pdf = encoded(RGB, "JPEG", quality=100, subsampling=0, comment=b"%PDF-1.4 1 0 obj")
    yield Kind("jpeg_and_pdf.jpg", of(pdf), RGB, 4)
    names = ("new\nline", "tab\tand\x1b[31mred", "right\u202eto left", "line\u2028end", "-rf")
    names += ("$(touch x)", "'quote\" and %s {0}", "[red]markup", "\U0001f41d", " space ")
    names += ("n" * 240,)
    for name in names:
        yield Kind(f"{name}.png", of(png), RGB)
    yield Kind(b"not \xff\xfe utf-8.png", of(png), RGB)
    yield Kind("link.png", lambda path: os.symlink(_beside(path, png), path), RGB)


def _beside(path: Path, data: bytes) -> Path:
    """A file that the folder's listing passes over, for a link to lead to."""
    target = path.with_name(".target")
    target.write_bytes(data)
    return target


def good_kinds() -> Iterator[Kind]:
    """All of them."""
    for group in (pngs, rotated, jpegs, others, shapes, disguised):
        yield from group()
