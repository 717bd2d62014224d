"""One picture file -> one uint8 array. Files are untrusted: size is checked before decoding."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from convarium.data.jpeg import has_more_scans
from convarium.data.png import refuse_short
from convarium.data.untrusted import FAILURES, MAX_BYTES, kind_of, opened_file, reason_of
from convarium.errors import InputError
from convarium.files import printable, shown

MAX_PIXELS = 25_000_000
MAX_SCANS = 100  # of a progressive JPEG; each costs a pass over all its pixels
EXTENSIONS = frozenset(".jpg .jpeg .jpe .jfif .jfi .jif .mpo .png .apng .webp .bmp .gif".split())
OTHER_PICTURES = frozenset(
    ".tif .tiff .heic .heif .hif .avif .svg .svgz .pdf .psd .xcf .ico .icns .cur .dib .pcx .tga "
    ".jp2 .j2k .jpx .jxl .jxr .bpg .qoi .exr .hdr .dds .eps .ps .pnm .pgm .ppm .pbm .pfm .sgi "
    # As cameras name what their sensors saw:
    ".dng .cr2 .cr3 .crw .nef .nrw .arw .sr2 .raf .orf .rw2 .raw .pef .srw .x3f .3fr".split()
)
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_PILLOW = RLock()


_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GREY_DEPTH = {"L;2": 85, "L;4": 17}  # what a level of a 2 or 4-bit grey is in 8 bits


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's first bytes say. Sides in pixels, before EXIF rotation."""

    width: int
    height: int
    grey: bool
    format: str  # Pillow's word: "JPEG", "MPO", "PNG", "WEBP", "BMP", "GIF"


class BadPicturesError(InputError):
    """Some pictures cannot be read. `files` has each path and its reason."""

    def __init__(self, files: list[tuple[Path, str]], *, also: str = "") -> None:
        self.files = tuple(files)
        listed = "; ".join(f"{shown(path)}: {reason}" for path, reason in files)
        count = "1 picture" if len(files) == 1 else f"{len(files)} pictures"
        super().__init__(f"{count} cannot be read. Repair or remove{also}: {listed}")


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Within, Pillow fills in no truncated picture, and size is our own check's business.

    Pillow's limits and its warnings are global, so they are set around a whole batch and put back
    behind it. A warning about a picture that is read all the same is nothing the user can act on.
    """
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
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
    with _reasons(path), opened_file(path) as file, _opened(file) as image:
        return Header(image.width, image.height, _is_grey(image), image.format or "")


def decode(path: Path, side: int, channels: int) -> npt.NDArray[np.uint8]:
    """The picture's central square at `side` pixels, as (channels, side, side) uint8.

    EXIF rotation is applied, alpha is laid over white, 16-bit greys are scaled to 8 bits, and of
    an animation the first frame counts. Call within `strict_pillow`.

    Raises:
        BadPicturesError: the file cannot be decoded, or is larger than `MAX_PIXELS`.
    """
    with _reasons(path):
        whole = _whole(path, "L" if channels == 1 else "RGB", side)
        square = whole.resize((side, side), Image.Resampling.BILINEAR, box=_centre(whole.size))
        pixels = np.asarray(square, dtype=np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def decode_whole(path: Path) -> Image.Image:
    """The whole picture in its own size, upright, as mode RGB. Call within `strict_pillow`.

    Raises:
        BadPicturesError: as `decode`.
    """
    with _reasons(path):
        return _whole(path, "RGB", None)


def checksum(path: Path) -> int:
    """CRC-32 of the file's bytes.

    Raises:
        BadPicturesError: it cannot be read.
    """
    with _reasons(path), opened_file(path) as file:
        return zlib.crc32(file.read(MAX_BYTES))


def is_animated(path: Path) -> bool:
    """True where a readable picture has a second frame, or what was meant for one."""
    with opened_file(path) as file, _opened(file) as image:
        try:
            return bool(getattr(image, "is_animated", False))
        except FAILURES:
            return True


def _whole(path: Path, mode: str, side: int | None) -> Image.Image:
    with opened_file(path) as file:
        data = file.read(MAX_BYTES)
    with _opened(io.BytesIO(data)) as image:
        _check(image, data)
        _scale_key(image)
        frame = _frame(image)
        if side is not None:
            # JPEG alone: decodes at 1/2, 1/4 or 1/8 as far as that is still twice what is needed.
            image.draft(None, (2 * side, 2 * side))
        image.load()
        return _as_mode(_upright(_whole_frame(image, frame)), mode)


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Whatever a decoder raises over a file becomes a sentence that names the file."""
    try:
        yield
    except FAILURES as error:
        raise BadPicturesError([(path, printable(reason_of(error)))]) from error


def _opened(file: io.BufferedIOBase) -> Image.Image:
    start = file.read(64)
    file.seek(0)
    try:
        image = Image.open(file, formats=_FORMATS)  # type: ignore[arg-type]
    except Image.UnidentifiedImageError as error:
        raise ValueError(kind_of(start)) from error
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width}x{image.height}"
        image.close()
        raise ValueError(f"{size} is more than {MAX_PIXELS // 1_000_000} megapixels; shrink it")
    return image


def _check(image: Image.Image, data: bytes) -> None:
    """Refuses what Pillow would pass over in silence, or take minutes for."""
    if image.format == "PNG":
        if data[12:16] == b"CgBI":
            raise ValueError("a PNG as Xcode packs it for phones; convert it to a plain one")
        with Image.open(io.BytesIO(data), formats=("PNG",)) as again:
            again.verify()  # the sums of all chunks: decoding does not look at them
        refuse_short(data)
        key = image.info.get("transparency")
        if isinstance(key, tuple) and "16B" in _raw_mode(image):
            raise ValueError("16-bit colour with a transparent colour; convert it to 8 bits")
    elif image.format in ("JPEG", "MPO") and has_more_scans(data, MAX_SCANS):
        raise ValueError(f"a JPEG of more than {MAX_SCANS} scans; save it anew")


def _scale_key(image: Image.Image) -> None:
    """Pillow scales a 2 or 4-bit grey to 8 bits, and leaves its transparent level as it was."""
    factor = _GREY_DEPTH.get(_raw_mode(image))
    if factor is not None and isinstance(image.info.get("transparency"), int):
        image.info["transparency"] *= factor


def _frame(image: Image.Image) -> tuple[int, int, int, int] | None:
    """The box that a GIF's first frame covers, where it leaves some of the picture free."""
    tiles = getattr(image, "tile", None)
    if image.format != "GIF" or not tiles or tiles[0].extents == (0, 0, *image.size):
        return None
    return tuple(tiles[0].extents)


def _whole_frame(image: Image.Image, frame: tuple[int, int, int, int] | None) -> Image.Image:
    """As browsers show it, where Pillow shows another: see within."""
    if frame is not None:
        # What a GIF's first frame leaves free is clear; Pillow fills it with colour 0.
        clear = Image.new("RGBA", image.size)
        clear.paste(image.convert("RGBA").crop(frame), frame[:2])
        return clear
    has_alpha = image.format == "BMP" and image.mode == "RGBA"
    if has_alpha and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")  # many programs write BMPs and leave the alpha at 0
    return image


def _raw_mode(image: Image.Image) -> str:
    """How the file packs its pixels, in Pillow's words; known before they are decoded."""
    tiles = getattr(image, "tile", None)
    return str(tiles[0].args) if tiles else ""


def _upright(image: Image.Image) -> Image.Image:
    """As the camera was held. EXIF data that cannot be read say nothing."""
    try:
        turn = _UPRIGHT.get(image.getexif().get(0x0112, 1))
    except FAILURES:
        turn = None
    return image if turn is None else image.transpose(turn)


def _is_grey(image: Image.Image) -> bool:
    if image.mode != "P":
        return image.mode in ("1", "L", "LA", "I") or image.mode.startswith("I;16")
    levels = np.asarray(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    return bool((levels == levels[:, :1]).all())


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    """To "L" or "RGB", each kind of picture in the way that keeps its look."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _from_16_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _from_16_bits(image: Image.Image) -> Image.Image:
    levels = np.asarray(image).clip(0, 65535).astype(np.int32)
    grey = ((levels * 255 + 32767) // 65535).astype(np.uint8)
    key = image.info.get("transparency")
    return Image.fromarray(grey if key is None else np.where(levels == key, np.uint8(255), grey))


def _centre(size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
