"""One look at a picture file for `data check`: what it is, its hashes, what is odd about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from convarium.data.near import Bytes, small_version
from convarium.data.pictures import (
    EXTENSIONS,
    OTHER_PICTURES,
    BadPicturesError,
    decode_whole,
    is_animated,
    read_header,
)

TINY_PX = 8
LONG = 4  # times as long as wide: three quarters lie outside the middle square
FLAT_SHARE = 0.1  # of a JPEG's rows at its lower end
_OF_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".mpo")
_EXTENSIONS_OF = {
    "JPEG": _OF_JPEG,
    "MPO": _OF_JPEG,
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
}


@dataclass(frozen=True, slots=True)
class Look:
    """A readable picture. Sides in pixels, upright; `pixels` and `data` are digests."""

    width: int
    height: int
    format: str
    pixels: bytes
    data: bytes
    small: Bytes  # (9, 9) grey version
    odd: tuple[str, ...]


def look(path: Path) -> Look | str:
    """What there is to know of a picture, or why it cannot be read.

    Decodes all of it. Call within `strict_pillow`.
    """
    try:
        header = read_header(path)
        image = decode_whole(path)
        data = hashlib.sha256(path.read_bytes()).digest()
    except BadPicturesError as error:
        return error.files[0][1]
    except OSError as error:
        return error.strerror or str(error)
    shape = f"{image.width}x{image.height} ".encode()
    return Look(
        width=image.width,
        height=image.height,
        format=header.format,
        pixels=hashlib.sha256(shape + image.tobytes()).digest(),
        data=data,
        small=small_version(image),
        odd=tuple(_odd(path, header.format, image)),
    )


def passed_over(path: Path) -> str | None:
    """Why a file that is no picture by its name is left aside; None where it is one."""
    suffix = path.suffix.lower()
    if suffix in EXTENSIONS or suffix in OTHER_PICTURES:
        return None
    try:
        found = read_header(path).format
    except BadPicturesError:
        return "no picture by its name"
    return f"a {found} whose name does not say so; name it {path.stem}{_EXTENSIONS_OF[found][0]}"


def _odd(path: Path, kind: str, image: Image.Image) -> list[str]:
    odd = []
    if path.suffix.lower() not in _EXTENSIONS_OF[kind]:
        odd.append(f"a {kind} by its content, not what its name says")
    if kind in ("GIF", "PNG", "WEBP") and is_animated(path):
        odd.append("animated: its first frame counts")
    short, long = sorted(image.size)
    if short < TINY_PX:
        odd.append(f"only {image.width}x{image.height} pixels")
    if long >= LONG * short:
        odd.append("long and narrow: networks see its middle square")
    if all(low == high for low, high in image.getextrema()):  # type: ignore[misc]
        odd.append("all of one colour")
    elif kind in ("JPEG", "MPO") and _has_flat_end(image):
        odd.append("its lower part is of one colour: perhaps cut short before it was saved")
    return odd


def _has_flat_end(image: Image.Image) -> bool:
    """True where a decoder has perhaps filled in rows that were missing."""
    rows = np.asarray(image)
    tail = rows[-max(8, int(len(rows) * FLAT_SHARE)) :]
    return bool((tail == tail[-1, -1]).all())
