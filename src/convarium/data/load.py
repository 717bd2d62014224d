"""A data set by its name or folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from convarium.data.digits import load_digits
from convarium.data.folder import Listing, list_folder
from convarium.data.model import Dataset, InMemory, OnDisk, Split, Store, measure_scale
from convarium.errors import InputError, UsageError

SMALL_SIDE = 32
PHOTO_SIDE = 224
MEMORY_BOUND = 1_000_000_000  # bytes of decoded pictures that are kept in memory


@dataclass(frozen=True, slots=True)
class Survey:
    """What a data set is, told without decoding a picture."""

    name: str
    kind: str  # "small" (median longer side up to 64 px) or "photographs"
    classes: tuple[str, ...]
    train_size: int
    test_size: int


def survey_dataset(spec: str) -> Survey:
    """Kind, classes and sizes of a data set, from names and headers alone.

    Raises:
        InputError: as `load_dataset`.
    """
    if spec == "digits":
        digits = load_digits()
        return Survey(digits.name, digits.kind, digits.classes, len(digits.train), len(digits.test))
    listing = list_folder(_folder(spec))
    test_size = sum(listing.held)
    return Survey(
        listing.root.name,
        listing.kind,
        listing.classes,
        len(listing.held) - test_size,
        test_size,
    )


def load_dataset(
    spec: str, *, side: int | None = None, channels: int | None = None, seed: int = 0
) -> Dataset:
    """The data set of that name or folder, decoded once where it fits in `MEMORY_BOUND` bytes.

    Small pictures (median longer side up to 64 px) come at 32 px. Photographs are decoded at 8/7
    of `side`, so that training can crop at random and the test takes the centre.

    Args:
        spec: "digits", or a folder with one folder of pictures per class, or with train/ and
            val/ (or test/) of that form.
        side: of the network's input in pixels; 32 for small pictures, 224 for photographs.
        channels: 1 or 3; when None, 1 where every picture is grey, else 3.
        seed: of the run; the split between training and test does not depend on it.

    Raises:
        UsageError: a side or channels that cannot be.
        InputError: no such folder, or not of that form; BadPicturesError lists all bad pictures.
    """
    del seed  # Part of the contract: what a later data set draws, the embedded ones do not.
    if channels not in (None, 1, 3):
        raise UsageError(f"channels must be 1 or 3, not {channels}.")
    if side is not None and side < 1:
        raise UsageError(f"side must be at least 1 pixel, not {side}.")
    if spec == "digits":
        return load_digits(side=side, channels=channels)
    return _of_folder(list_folder(_folder(spec)), side, channels)


def _folder(spec: str) -> Path:
    path = Path(spec).expanduser()
    if not path.exists() and "/" not in spec:
        raise InputError(f"no data set or folder is named {spec!r}. Known: digits, or a folder.")
    return path.resolve()


def _of_folder(listing: Listing, side: int | None, channels: int | None) -> Dataset:
    small = listing.kind == "small"
    side = side or (SMALL_SIDE if small else PHOTO_SIDE)
    decode_side = side if small else round(side * 8 / 7)
    found = channels or (1 if listing.grey else 3)
    store: Store = OnDisk(listing.paths, decode_side, found)
    rows = torch.arange(len(listing.labels))
    if len(rows) * found * decode_side**2 <= MEMORY_BOUND:
        pixels = store.read(rows)
        if channels is None and (pixels == pixels[:, :1]).all():
            pixels = pixels[:, :1].contiguous()  # grey pictures stored as colour
        store, found = InMemory(pixels), pixels.shape[1]
    everything = Split(torch.tensor(listing.labels), listing.names, store, rows)
    held = torch.tensor(listing.held)
    train = everything.subset((~held).nonzero().flatten())
    return Dataset(
        name=listing.root.name,
        kind=listing.kind,
        classes=listing.classes,
        channels=found,
        side=side,
        train=train,
        test=everything.subset(held.nonzero().flatten()),
        fingerprint=listing.fingerprint,
        source=str(listing.root),
        scale=measure_scale(train),
    )
