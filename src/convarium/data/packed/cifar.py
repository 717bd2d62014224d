"""CIFAR-10 and CIFAR-100 as their author offers them: binary batches, and pickled ones.

Source: Krizhevsky 2009; the layouts are described at cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convarium.data.packed.arrays import (
    MAX_BYTES,
    Arrays,
    Bytes,
    Labels,
    as_labels,
    bad,
    checked,
    numbered,
)
from convarium.data.packed.plain_pickle import Array, read_plain

SIDE = 32
PIXELS = 3 * SIDE * SIDE


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of one form's files. `label_bytes` stand before a picture; the last one counts."""

    words: str
    train: tuple[str, ...]
    test: str
    names: str
    pickled: bool
    label_bytes: int = 1
    label_key: bytes = b"labels"
    names_key: bytes = b"label_names"


_BATCHES = tuple(f"data_batch_{n}" for n in range(1, 6))
LAYOUTS = (
    Layout(
        "CIFAR-10, binary",
        tuple(f"{name}.bin" for name in _BATCHES),
        "test_batch.bin",
        "batches.meta.txt",
        pickled=False,
    ),
    Layout(
        "CIFAR-100, binary",
        ("train.bin",),
        "test.bin",
        "fine_label_names.txt",
        pickled=False,
        label_bytes=2,
    ),
    Layout("CIFAR-10, python", _BATCHES, "test_batch", "batches.meta", pickled=True),
    Layout(
        "CIFAR-100, python",
        ("train",),
        "test",
        "meta",
        pickled=True,
        label_key=b"fine_labels",
        names_key=b"fine_label_names",
    ),
)


def find_layout(folder: Path) -> Layout | None:
    """The layout of which the folder has the test file and at least one of the others."""
    for layout in LAYOUTS:
        has_train = any((folder / name).is_file() for name in layout.train)
        if has_train and (folder / layout.test).is_file():
            return layout
    return None


def cifar_files(folder: Path, layout: Layout) -> tuple[Path, ...]:
    """All files that the layout names and the folder has, training batches first."""
    names = (*layout.train, layout.test, layout.names)
    return tuple(folder / name for name in names if (folder / name).is_file())


def read_cifar(folder: Path, layout: Layout) -> Arrays:
    """The arrays of all batches, in the batches' order.

    Raises:
        InputError: a batch is missing, or not of this form.
    """
    missing = [name for name in (*layout.train, layout.test) if not (folder / name).is_file()]
    if missing:
        raise bad(folder, f"lacks {', '.join(missing)} of {layout.words}", "Add them")
    read = _pickled if layout.pickled else _binary
    parts = [read(folder / name, layout) for name in (*layout.train, layout.test)]
    x, y = (np.concatenate([part[place] for part in parts[:-1]]) for place in (0, 1))
    labels = parts[-1][1]
    classes = _classes(folder / layout.names, layout) or numbered(y, labels)
    return checked(folder, Arrays(x, y, parts[-1][0], labels, classes))


def _binary(path: Path, layout: Layout) -> tuple[Bytes, Labels]:
    record = layout.label_bytes + PIXELS
    data = _whole(path)
    if not data or len(data) % record:
        raise bad(path, f"has {len(data):,} bytes, no multiple of {record:,} a picture")
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
    pictures = rows[:, layout.label_bytes :].reshape(-1, 3, SIDE, SIDE)
    return pictures, rows[:, layout.label_bytes - 1].astype(np.int64)


def _pickled(path: Path, layout: Layout) -> tuple[Bytes, Labels]:
    told = _dictionary(path)
    data, labels = told.get(b"data"), told.get(layout.label_key)
    if not isinstance(data, Array) or data.shape[1:] != (PIXELS,) or data.type != "u1":
        raise bad(path, f"has no data of (N, {PIXELS}) bytes")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise bad(path, f"has no list of labels as {layout.label_key.decode()}")
    if len(labels) != data.shape[0]:
        raise bad(path, f"has {data.shape[0]:,} pictures and {len(labels):,} labels")
    if any(abs(label) >= 2**31 for label in labels):
        raise bad(path, "has labels beyond 32 bits")
    pictures = np.frombuffer(data.data, dtype=np.uint8).reshape(-1, 3, SIDE, SIDE)
    return pictures, as_labels(path, "the batch", np.array(labels, dtype=np.int64))


def _classes(path: Path, layout: Layout) -> tuple[str, ...]:
    """The class names beside the batches, or () where there are none."""
    if not path.is_file():
        return ()
    if not layout.pickled:
        lines = _whole(path).decode("utf-8", "backslashreplace").splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    names = _dictionary(path).get(layout.names_key)
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise bad(path, "has no list of class names")
    return tuple(name.decode("utf-8", "backslashreplace") for name in names)


def _dictionary(path: Path) -> dict[bytes, Any]:
    """A pickled dictionary; keys and words as bytes, whichever Python wrote them."""
    try:
        return read_plain(_whole(path))
    except ValueError as error:
        raise bad(path, f"is no pickled batch: {error}") from error


def _whole(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES // 4:
            raise bad(path, f"has {path.stat().st_size:,} bytes, too many for a batch")
        return path.read_bytes()
    except OSError as error:
        raise bad(path, f"cannot be read ({error.strerror})") from error
