"""`.npz` files: x_train, y_train, x_test, y_test as in Keras' mnist.npz, and a coding of our own.

Instead of x_train and x_test there may be d_train and d_test, (N, 3, H, W): red and blue minus
green, then differences along H, then along W, all modulo 256. Optional: `classes`, `name_train`
and `name_test`.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convarium.data.packed.arrays import (
    MAX_BYTES,
    MAX_CLASSES,
    Arrays,
    Bytes,
    as_labels,
    as_pictures,
    bad,
    bounded,
    checked,
    numbered,
)

_WANTED = ("train", "test")
_HEADER = 4096  # bytes of a .npy header, at most
_PIECE = 1 << 22
_FAILURES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, MemoryError, OverflowError),
)


def read_npz(path: Path) -> Arrays:
    """The arrays of an .npz file. It is untrusted: headers are checked before data are decoded.

    Raises:
        InputError: it cannot be read, or is no data set.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(path, archive)
    except _FAILURES as error:
        text = str(error).strip() or type(error).__name__
        raise bad(path, f"cannot be read as .npz ({text.splitlines()[0][:120]})") from error


def _read(path: Path, archive: zipfile.ZipFile) -> Arrays:
    members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
    if len(members) != len(archive.infolist()):
        raise bad(path, "two of its arrays have one name")
    coded = "d_train" in members
    names = [f"{'d' if coded else 'x'}_{part}" for part in _WANTED]
    lacks = [key for key in (*names, "y_train", "y_test") if key not in members]
    if lacks:
        has = ", ".join(list(members)[:8]) or "nothing"
        mend = "An .npz data set has x_train, y_train, x_test and y_test"
        raise bad(path, f"lacks {', '.join(lacks)}; it has {has}", mend)
    extra = [key for key in ("classes", "name_train", "name_test") if key in members]
    read = {key: (archive, members[key]) for key in (*names, "y_train", "y_test", *extra)}
    if sum(member.file_size for _, member in read.values()) > MAX_BYTES:
        raise bad(path, f"holds more than {MAX_BYTES // 10**9} GB of arrays", "Use a folder")
    told = {key: _array(path, key, *where) for key, where in read.items()}
    pictures = [as_pictures(path, key, told[key]) for key in names]
    labels = [as_labels(path, f"y_{part}", told[f"y_{part}"]) for part in _WANTED]
    if coded:
        pictures = [_decoded(path, x) for x in pictures]
    classes = _words(path, "classes", told["classes"]) if "classes" in told else numbered(*labels)
    stems = [_words(path, key, told[key]) for key in ("name_train", "name_test") if key in told]
    named = stems[0] + stems[1] if len(stems) == 2 else None
    if len(classes) > MAX_CLASSES:
        raise bad(path, f"has {len(classes):,} classes")
    return checked(path, Arrays(pictures[0], labels[0], pictures[1], labels[1], classes, named))


def _array(
    path: Path, key: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> npt.NDArray[Any]:
    """One member, filled piece by piece: no more is inflated than its header says."""
    with archive.open(member) as file:
        shape, fortran, dtype = _header(file)
        if dtype.hasobject or dtype.kind not in "uifbSU":
            raise bad(path, f"{key} holds {dtype.name} values, which are not read")
        size = bounded(path, key, shape, max(1, dtype.itemsize))
        if size and size > member.file_size:
            raise bad(path, f"{key} is cut short: {shape} {dtype} in {member.file_size:,} bytes")
        data = bytearray(size)
        view, at = memoryview(data), 0
        while at < size:
            piece = file.read(min(_PIECE, size - at))
            if not piece:
                raise bad(path, f"{key} is cut short: {at:,} of {size:,} bytes")
            view[at : at + len(piece)] = piece
            at += len(piece)
        if file.read(1):
            raise bad(path, f"{key} is longer than its header says")
    array = np.frombuffer(data, dtype=dtype)
    return array.reshape(shape[::-1]).transpose() if fortran else array.reshape(shape)


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type, as the .npy header has them (NumPy's format, versions 1 to 3)."""
    version = np.lib.format.read_magic(file)
    start = file.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(start, "little")
    if version not in ((1, 0), (2, 0), (3, 0)) or length > _HEADER:
        raise ValueError(f"a .npy header of version {version} and {length:,} bytes")
    text = io.BytesIO(start + file.read(length))
    reader = np.lib.format.read_array_header_1_0
    return (reader if version == (1, 0) else np.lib.format.read_array_header_2_0)(text)


def _decoded(path: Path, x: Bytes) -> Bytes:
    """Sums along both sides and green added back; in place, modulo 256."""
    if x.shape[1] != 3:
        raise bad(path, f"d_train and d_test must have 3 channels, not {x.shape[1]}")
    x = np.ascontiguousarray(x)
    np.cumsum(x, 2, dtype=np.uint8, out=x)
    np.cumsum(x, 3, dtype=np.uint8, out=x)
    x[:, ::2] += x[:, 1:2]
    return x


def _words(path: Path, key: str, array: npt.NDArray[Any]) -> tuple[str, ...]:
    """(N,) text or bytes -> words."""
    if array.ndim != 1 or array.dtype.kind not in "SU":
        raise bad(path, f"{key} must be a row of words, not {array.shape} {array.dtype}")
    return tuple(
        word.decode("utf-8", "backslashreplace") if isinstance(word, bytes) else str(word)
        for word in array.tolist()
    )
