"""What every packed data set becomes, and the checks that all of them must pass."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convarium.errors import InputError
from convarium.files import printable, shown

MAX_BYTES = 8_000_000_000  # of all arrays of a set, decoded
MAX_CLASSES = 100_000
MAX_SIDE = 4096  # of a picture, in pixels
Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Pictures (N, C, H, W) uint8 and labels (N,) int64 of both parts.

    `names` are those of the training pictures, then of the test pictures; None where the set
    gives them none.
    """

    x_train: Bytes
    y_train: Labels
    x_test: Bytes
    y_test: Labels
    classes: tuple[str, ...]
    names: tuple[str, ...] | None = None

    def part_names(self, part: str) -> tuple[str, ...]:
        """A name a picture of "train" or "test": the set's own, else "train 17"."""
        size = len(self.y_train if part == "train" else self.y_test)
        if self.names is None:
            return tuple(f"{part} {index}" for index in range(size))
        return self.names[:size] if part == "train" else self.names[-size:]

    def fingerprint(self) -> str:
        """SHA-256 of pictures, labels, classes and names."""
        digest = hashlib.sha256(repr((self.classes, self.names)).encode())
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def bad(path: Path, reason: str, mend: str = "Get the file anew") -> InputError:
    """The error for a packed file that cannot be used, in one line."""
    return InputError(f"{shown(path)}: {printable(reason)}. {mend}.")


def bounded(path: Path, what: str, shape: Sequence[int], itemsize: int = 1) -> int:
    """The bytes that a header promises, before any of them is decoded.

    Raises:
        InputError: sides below 0, or more than `MAX_BYTES` together.
    """
    size = prod(int(side) for side in shape) * itemsize
    if any(side < 0 for side in shape):
        raise bad(path, f"{what} has a side below 0")
    if size > MAX_BYTES:
        limit = MAX_BYTES // 10**9
        raise bad(path, f"{what} would take {size:,} bytes, more than {limit} GB", "Use a folder")
    return size


def as_pictures(path: Path, what: str, x: npt.NDArray[Any]) -> Bytes:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) -> (N, C, H, W), with C of 1 or 3.

    Raises:
        InputError: another type, or a shape that is none of these.
    """
    if x.dtype != np.uint8:
        raise bad(path, f"{what} is {x.dtype}, and pictures must be uint8", "Store levels 0 to 255")
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim != 4:
        raise bad(path, f"{what} has {x.ndim} axes; pictures have 3 or 4", "Store (N, H, W, C)")
    first, last = x.shape[1] in (1, 3), x.shape[3] in (1, 3)
    if first == last:
        why = "could have its channels first or last" if first else "has no axis of 1 or 3 channels"
        raise bad(path, f"{what} of shape {x.shape} {why}", "Store (N, H, W, C)")
    if last:
        x = x.transpose(0, 3, 1, 2)
    if not 1 <= min(x.shape[2:]) <= max(x.shape[2:]) <= MAX_SIDE:
        raise bad(path, f"{what} has pictures of {x.shape[3]}x{x.shape[2]} pixels")
    return x


def as_labels(path: Path, what: str, y: npt.NDArray[Any]) -> Labels:
    """(N,) or (N, 1) whole numbers -> (N,) int64.

    Raises:
        InputError: another type or shape, or values below 0 or beyond `MAX_CLASSES`.
    """
    if y.dtype.kind not in "iu":
        raise bad(path, f"{what} is {y.dtype}, and labels must be whole numbers")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise bad(path, f"{what} has the shape {y.shape}, and labels must be (N,)")
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < MAX_CLASSES:
        raise bad(path, f"{what} has labels from {y.min()} to {y.max()}")
    return y.astype(np.int64)


def checked(path: Path, arrays: Arrays) -> Arrays:
    """The arrays, when they are a set that can be trained on and tested.

    Raises:
        InputError: parts that do not fit one another, or their labels.
    """
    a = arrays
    for part, x, y in (("train", a.x_train, a.y_train), ("test", a.x_test, a.y_test)):
        if len(x) != len(y):
            raise bad(path, f"{part} has {len(x):,} pictures and {len(y):,} labels")
        if not len(x):
            raise bad(path, f"{part} has no pictures")
        if int(y.max()) >= len(a.classes):
            raise bad(path, f"{part} has the label {y.max()}, of {len(a.classes)} classes")
    if a.x_train.shape[1:] != a.x_test.shape[1:]:
        sides = a.x_train.shape[1:], a.x_test.shape[1:]
        raise bad(path, f"pictures are {sides[0]} in train and {sides[1]} in test")
    unseen = sorted(set(np.unique(a.y_test).tolist()) - set(np.unique(a.y_train).tolist()))
    if unseen:
        raise bad(path, f"test has the class {a.classes[unseen[0]]!r}, which train lacks")
    if len(np.unique(a.y_train)) < 2:
        raise bad(path, "train has one class, and telling apart takes two or more")
    if a.names is not None and len(a.names) != len(a.y_train) + len(a.y_test):
        raise bad(path, f"{len(a.names):,} names for {len(a.y_train) + len(a.y_test):,} pictures")
    if len(set(a.classes)) != len(a.classes):
        raise bad(path, "two classes have one name")
    return a


def numbered(*labels: Labels) -> tuple[str, ...]:
    """Class names where a set gives none: its labels, 0 to the highest."""
    return tuple(str(label) for label in range(max(int(y.max(initial=0)) for y in labels) + 1))
