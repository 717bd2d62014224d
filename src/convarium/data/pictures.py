"""One picture file -> one uint8 array. Files are untrusted: size is checked before decoding."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps

from convarium.errors import InputError

MAX_PIXELS = 25_000_000
EXTENSIONS = frozenset(".jpg .jpeg .jpe .jfif .png .webp .bmp .gif".split())
OTHER_PICTURES = frozenset(
    ".tif .tiff .heic .heif .avif .svg .pdf .psd .ico .jp2 .jxl .tga .pgm .ppm .pbm .eps".split()
)
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError),
    *(TypeError, OverflowError, AttributeError, RuntimeError, MemoryError),
    Image.DecompressionBombError,
)
_PILLOW = RLock()


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's first bytes say. Sides in pixels, before EXIF rotation."""

    width: int
    height: int
    grey: bool


class BadPicturesError(InputError):
    """Some pictures cannot be read. `files` has each path and its reason."""

    def __init__(self, files: list[tuple[Path, str]]) -> None:
        self.files = tuple(files)
        listed = "; ".join(f"{path}: {reason}" for path, reason in files)
        count = "1 picture" if len(files) == 1 else f"{len(files)} pictures"
        super().__init__(f"{count} cannot be read. Repair or remove: {listed}")


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Within, Pillow fills in no truncated picture, and size is our own check's business.

    Pillow's limits are global, so they are set around a whole batch and put back behind it.
    """
    with _PILLOW:
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def read_header(path: Path) -> Header:
    """Size and colour of a picture, nothing decoded. Call within `strict_pillow`.

    Raises:
        BadPicturesError: the file is no picture that we read, or larger than `MAX_PIXELS`.
    """
    try:
        with _opened(path) as image:
            return Header(image.width, image.height, _is_grey(image))
    except _UNREADABLE as error:
        raise BadPicturesError([(path, _reason(error))]) from error


def decode(path: Path, side: int, channels: int) -> npt.NDArray[np.uint8]:
    """The picture's central square at `side` pixels, as (channels, side, side) uint8.

    EXIF rotation is applied, alpha is laid over white, 16-bit greys are scaled to 8 bits, and of
    an animation the first frame counts. Call within `strict_pillow`.

    Raises:
        BadPicturesError: the file cannot be decoded, or is larger than `MAX_PIXELS`.
    """
    try:
        with _opened(path) as image:
            # JPEG alone: decodes at 1/2, 1/4 or 1/8 as far as that is still twice what is needed.
            image.draft(None, (2 * side, 2 * side))
            whole = _as_mode(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB")
            square = whole.resize((side, side), Image.Resampling.BILINEAR, box=_centre(whole.size))
            pixels = np.asarray(square, dtype=np.uint8)
    except _UNREADABLE as error:
        raise BadPicturesError([(path, _reason(error))]) from error
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _opened(path: Path) -> Image.Image:
    image = Image.open(path, formats=_FORMATS)
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width}x{image.height}"
        image.close()
        raise ValueError(f"{size} is more than {MAX_PIXELS // 1_000_000} megapixels; shrink it")
    return image


def _is_grey(image: Image.Image) -> bool:
    if image.mode != "P":
        return image.mode in ("1", "L", "LA", "I") or image.mode.startswith("I;16")
    levels = np.asarray(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    return bool((levels == levels[:, :1]).all())


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    """To "L" or "RGB", each kind of picture in the way that keeps its look."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.int64).clip(0, 65535)
        image = Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _centre(size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is gone"
    if isinstance(error, PermissionError):
        return "no right to read it"
    if isinstance(error, Image.UnidentifiedImageError):
        return "no JPEG, PNG, WebP, BMP or GIF"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rstrip(".")
