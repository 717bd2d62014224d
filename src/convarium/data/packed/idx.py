"""MNIST's IDX files, as they are or gzipped; Fashion-MNIST and EMNIST have the same.

Format: two zero bytes, 8 for unsigned bytes, the number of axes, each side as a big-endian 32-bit
number, then the values (yann.lecun.com/exdb/mnist). EMNIST stores its pictures transposed; they
are read as they stand.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from convarium.data.packed.arrays import (
    Arrays,
    Bytes,
    as_labels,
    as_pictures,
    bad,
    bounded,
    checked,
    numbered,
)

_NAME = re.compile(r"(.*?)(train|t10k|test)-(images|labels)[.-]idx[13]-ubyte(\.gz)?")
_PARTS = (("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels"))


def idx_files(files: Iterable[Path]) -> dict[str, dict[tuple[str, str], Path]]:
    """The IDX files among `files`: by what stands before "train" in a name, then by part.

    Where a file is there both gzipped and not, the one that is not counts.
    """
    found: dict[str, dict[tuple[str, str], Path]] = {}
    for path in sorted(files, key=lambda path: path.suffix != ".gz"):
        match = _NAME.fullmatch(path.name)
        if match:
            part = "train" if match[2] == "train" else "test"
            found.setdefault(match[1], {})[part, match[3]] = path
    return found


def read_idx(files: Mapping[tuple[str, str], Path], root: Path) -> Arrays:
    """The arrays of the four files.

    Raises:
        InputError: one is missing, or is no IDX file of bytes.
    """
    lacks = [" ".join(part) for part in _PARTS if part not in files]
    if lacks:
        raise bad(root, f"lacks the IDX files of {', '.join(lacks)}", "Add them")
    x, y, xt, yt = (_read_one(files[part], 3 if part[1] == "images" else 1) for part in _PARTS)
    pictures = [
        as_pictures(files[part, "images"], "the file", a)
        for part, a in (("train", x), ("test", xt))
    ]
    labels = [
        as_labels(files[part, "labels"], "the file", a) for part, a in (("train", y), ("test", yt))
    ]
    return checked(root, Arrays(pictures[0], labels[0], pictures[1], labels[1], numbered(*labels)))


def _read_one(path: Path, axes: int) -> Bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            magic = file.read(4)
            if magic != bytes((0, 0, 8, axes)):
                raise bad(path, f"is no IDX file of bytes with {axes} axes: it begins {magic!r}")
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            size = bounded(path, "the file", shape)
            data = file.read(size)
            if len(data) < size:
                raise bad(path, f"is cut short: {len(data):,} of {size:,} bytes")
            if file.read(1):
                raise bad(path, "is longer than its header says")
    except (OSError, EOFError, zlib.error, struct.error, MemoryError) as error:
        raise bad(path, f"cannot be read ({str(error) or type(error).__name__})") from error
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
