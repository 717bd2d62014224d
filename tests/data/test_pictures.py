"""One picture at a time: every kind that is read gives the right pixels, every bad one a reason."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convarium.data.pictures import BadPicturesError, decode, read_header, strict_pillow

SIDE = 16
RED, BLUE = (200, 30, 40), (20, 60, 210)


def _halves(mode: str = "RGB", width: int = SIDE, height: int = SIDE) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image.convert(mode)


def _decoded(path: Path, channels: int = 3) -> np.ndarray:
    with strict_pillow():
        return decode(path, SIDE, channels).astype(int)


def _corners(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """The colours at top left, top right, bottom left."""
    return [tuple(pixels[:, y, x]) for y, x in ((1, 1), (1, -2), (-2, 1))]


@pytest.mark.parametrize(
    ("name", "options", "off_by"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.jpg", {"quality": 100, "subsampling": 0}, 3),
        ("a.gif", {}, 3),
    ],
)
def test_every_format_gives_its_pixels(tmp_path, name, options, off_by) -> None:
    _halves().save(tmp_path / name, **options)
    expected = np.asarray(_halves()).transpose(2, 0, 1).astype(int)
    assert abs(_decoded(tmp_path / name) - expected).max() <= off_by


def test_wrong_extension_is_read_by_content(tmp_path) -> None:
    _halves().save(tmp_path / "a.jpg", format="PNG")
    assert _corners(_decoded(tmp_path / "a.jpg")) == [RED, BLUE, RED]


# EXIF orientation 6: the camera stood on its side, turn by 90 degrees clockwise to see it upright.
@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (1, [RED, BLUE, RED]),
        (2, [BLUE, RED, BLUE]),
        (3, [BLUE, RED, BLUE]),
        (6, [RED, RED, BLUE]),
        (8, [BLUE, BLUE, RED]),
    ],
)
def test_exif_rotation_is_applied(tmp_path, orientation, corners) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    _halves().save(tmp_path / "a.png", exif=exif)
    assert _corners(_decoded(tmp_path / "a.png")) == corners


def test_cmyk_jpeg_keeps_its_colours(tmp_path) -> None:
    _halves("CMYK").save(tmp_path / "a.jpg", quality=100)
    decoded = _decoded(tmp_path / "a.jpg")
    for colour, expected in zip(_corners(decoded), [RED, BLUE, RED], strict=True):
        assert max(abs(a - b) for a, b in zip(colour, expected, strict=True)) <= 6


def test_sixteen_bit_grey_is_scaled(tmp_path) -> None:
    levels = np.linspace(0, 65535, SIDE * SIDE).astype(np.uint16).reshape(SIDE, SIDE)
    Image.fromarray(levels).save(tmp_path / "a.png")
    expected = np.round(levels / 257.0)  # 65535 / 255 = 257
    assert abs(_decoded(tmp_path / "a.png", 1)[0] - expected).max() <= 1


def test_alpha_is_laid_over_white(tmp_path) -> None:
    Image.new("RGBA", (SIDE, SIDE), (*RED, 0)).save(tmp_path / "clear.png")
    assert (_decoded(tmp_path / "clear.png") == 255).all()
    Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 51)).save(tmp_path / "fifth.png")
    assert abs(_decoded(tmp_path / "fifth.png") - 255 * 4 / 5).max() <= 1


def test_palette_with_transparency(tmp_path) -> None:
    image = Image.new("P", (SIDE, SIDE), 1)
    image.putpalette([*RED, *BLUE])
    image.paste(0, (0, 0, SIDE // 2, SIDE))
    image.save(tmp_path / "a.png", transparency=0)
    assert _corners(_decoded(tmp_path / "a.png")) == [(255, 255, 255), BLUE, (255, 255, 255)]


def test_the_first_frame_of_an_animation_counts(tmp_path) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in (RED, BLUE)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert abs(_decoded(tmp_path / "a.gif") - np.array(RED)[:, None, None]).max() <= 3


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 5)])
def test_odd_shapes_are_cropped_to_their_middle(tmp_path, size) -> None:
    Image.new("RGB", size, RED).save(tmp_path / "a.png")
    assert _decoded(tmp_path / "a.png").shape == (3, SIDE, SIDE)
    assert _corners(_decoded(tmp_path / "a.png")) == [RED, RED, RED]


@pytest.mark.parametrize(
    ("mode", "grey"), [("1", True), ("L", True), ("LA", True), ("RGB", False), ("P", False)]
)
def test_grey_is_told_from_the_header(tmp_path, mode, grey) -> None:
    _halves(mode).save(tmp_path / "a.png")
    with strict_pillow():
        assert read_header(tmp_path / "a.png").grey is grey


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize("side", [5001, 12_000, 60_000])
def test_too_many_pixels_are_refused_by_the_header(tmp_path, side) -> None:
    (tmp_path / "big.png").write_bytes(_png_header(side, side))
    with strict_pillow(), pytest.raises(BadPicturesError, match=r"25 megapixels"):
        decode(tmp_path / "big.png", SIDE, 3)


def _jpeg() -> bytes:
    stream = io.BytesIO()
    _halves(width=64, height=64).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize("kept", [0, 1, 10, 100, 500, 700])
def test_a_truncated_file_is_refused(tmp_path, kept) -> None:
    assert len(_jpeg()) > 700
    (tmp_path / "half.jpg").write_bytes(_jpeg()[:kept])
    with strict_pillow(), pytest.raises(BadPicturesError, match=r"half\.jpg"):
        decode(tmp_path / "half.jpg", SIDE, 3)


@pytest.mark.parametrize("content", [b"<svg/>", b"%PDF-1.4", b"II*\0" + bytes(100)])
def test_other_contents_are_refused(tmp_path, content) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with strict_pillow(), pytest.raises(BadPicturesError, match="no JPEG, PNG, WebP, BMP or GIF"):
        read_header(tmp_path / "a.png")


def test_pillows_limits_are_put_back() -> None:
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(), strict_pillow():
        assert Image.MAX_IMAGE_PIXELS is None
    assert before == Image.MAX_IMAGE_PIXELS
    assert before is not None
