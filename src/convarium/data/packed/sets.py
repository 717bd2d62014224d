"""A packed set as a Dataset, and looked over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from convarium.data.check import Report, Twins
from convarium.data.folder import SMALL_PX
from convarium.data.model import MEMORY_BOUND, Dataset, InMemory, Split, Store, measure_exact_scale
from convarium.data.packed.arrays import Arrays, bad
from convarium.data.packed.cache import through_cache
from convarium.data.packed.find import Packed
from convarium.data.packed.fit import Fitted, fit_all, has_border
from convarium.errors import ConvariumError
from convarium.files import exact, shown

SMALL_SIDE = 32
PHOTO_SIDE = 224


def read_packed(packed: Packed) -> tuple[Arrays, str]:
    """The arrays and their fingerprint, from the cache where they were decoded before.

    Raises:
        InputError: the files cannot be read, or are no data set.
    """
    try:
        identity = packed.identity()
    except OSError as error:
        raise bad(packed.root, f"cannot be read ({error.strerror})") from error
    return through_cache(identity, exact(packed.root), packed.read)


def kind_of(arrays: Arrays) -> str:
    """ "small" where the longer side is at most 64 px, else "photographs"."""
    return "small" if max(arrays.x_train.shape[2:]) <= SMALL_PX else "photographs"


def load_packed(packed: Packed, side: int | None, channels: int | None) -> Dataset:
    """The data set at `side` pixels (32 for small pictures, 224 for photographs).

    Args:
        packed: where it is.
        side: of the network's input, in pixels.
        channels: 1 or 3; those of the pictures when None.

    Raises:
        InputError: as `read_packed`.
    """
    arrays, fingerprint = read_packed(packed)
    kind = kind_of(arrays)
    side = side or (SMALL_SIDE if kind == "small" else PHOTO_SIDE)
    decode_side = side if kind == "small" else round(side * 8 / 7)
    found = arrays.x_train.shape[1]
    wanted = channels or found
    border = kind == "small"
    store = _store(arrays, decode_side, wanted, border=border)
    splits = {}
    first = 0
    for part, labels in (("train", arrays.y_train), ("test", arrays.y_test)):
        rows = torch.arange(first, first + len(labels))
        y = torch.from_numpy(np.array(labels))
        splits[part] = Split(y, arrays.part_names(part), store, rows)
        first += len(labels)
    drawn = min(arrays.x_train.shape[2:])
    return Dataset(
        name=packed.name,
        kind=kind,
        classes=arrays.classes,
        channels=wanted,
        side=side,
        train=splits["train"],
        test=splits["test"],
        fingerprint=fingerprint,
        source=f"{shown(packed.root)} ({packed.form})",
        scale=measure_exact_scale(splits["train"]),
        drawn_px=drawn if border and has_border(drawn, side) else None,
    )


def _store(arrays: Arrays, side: int, channels: int, *, border: bool) -> Store:
    parts = tuple(_tensor(x) for x in (arrays.x_train, arrays.x_test))
    if sum(map(len, parts)) * channels * side**2 > MEMORY_BOUND:
        return Fitted(parts, side, channels, border)
    fitted = [fit_all(x, side, channels, border=border) for x in parts]
    return InMemory(torch.cat(fitted))


def _tensor(x: np.ndarray) -> Tensor:
    if not x.flags.writeable:  # torch takes no array that it might not write to
        x = x.copy()
    return torch.from_numpy(x)


def check_packed(packed: Packed) -> Report:
    """What `convarium data check` says of a packed set: its balance, and its equal pictures.

    A set that cannot be read is told in the report, not raised.
    """
    form, arrays = None, None
    try:
        arrays, _ = read_packed(packed)
    except ConvariumError as error:
        form = str(error)
    if arrays is None:
        empty: tuple[()] = ()
        return Report(shown(packed.root), 0, form, empty, empty, empty, empty, {}, {}, None, {})
    total = len(arrays.y_train) + len(arrays.y_test)
    height, width = arrays.x_train.shape[2:]
    return Report(
        folder=shown(packed.root),
        pictures=total,
        form=None,
        unreadable=(),
        suspicious=(),
        passed_over=(),
        twins=tuple(_twins(arrays)),
        balance={
            part: {
                arrays.classes[label]: int(count)
                for label, count in enumerate(np.bincount(y, minlength=len(arrays.classes)))
            }
            for part, y in (("train", arrays.y_train), ("test", arrays.y_test))
        },
        sizes={f"{width}x{height} px": total},
        median_size=(width, height),
        formats={packed.form: total},
    )


def _twins(arrays: Arrays) -> Iterator[Twins]:
    """Each picture whose pixels an earlier one has, with that one."""
    first: dict[bytes, tuple[str, str, int]] = {}
    for part, x, y in (
        ("train", arrays.x_train, arrays.y_train),
        ("test", arrays.x_test, arrays.y_test),
    ):
        for picture, name, label in zip(x, arrays.part_names(part), y.tolist(), strict=True):
            digest = hashlib.sha256(np.ascontiguousarray(picture).data).digest()
            other, other_part, other_label = first.setdefault(digest, (name, part, label))
            if (other, other_part) != (name, part):
                conflict = other_label != label
                yield Twins(other, name, "pixels", 0, other_part != part, conflict)
