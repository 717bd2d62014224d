"""A data set by its name, folder or file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from convarium.data.digits import load_digits
from convarium.data.folder import OR_SKIP, Listing, find_bad, list_folder, refuse_bad
from convarium.data.model import (
    MEMORY_BOUND,
    Dataset,
    InMemory,
    OnDisk,
    Split,
    Store,
    measure_scale,
)
from convarium.data.packed import find_packed, load_packed, read_packed
from convarium.data.packed.sets import PHOTO_SIDE, SMALL_SIDE, kind_of
from convarium.data.pictures import BadPicturesError
from convarium.errors import InputError, UsageError
from convarium.files import expanded, shown


@dataclass(frozen=True, slots=True)
class Survey:
    """What a data set is, told without decoding a picture."""

    name: str
    kind: str  # "small" (median longer side up to 64 px) or "photographs"
    classes: tuple[str, ...]
    train_size: int
    test_size: int


def survey_dataset(spec: str, *, skip_bad: bool = False) -> Survey:
    """Kind, classes and sizes of a data set, from names and headers alone.

    With `skip_bad` every picture is decoded once, and those that cannot be are left out.

    Raises:
        InputError: as `load_dataset`.
    """
    if spec == "digits":
        digits = load_digits()
        return Survey(digits.name, digits.kind, digits.classes, len(digits.train), len(digits.test))
    packed = find_packed(expanded(spec))
    if packed is not None:
        arrays, _ = read_packed(packed)
        sizes = (len(arrays.y_train), len(arrays.y_test))
        return Survey(packed.name, kind_of(arrays), arrays.classes, *sizes)
    listing = _listing(spec, skip_bad)
    test_size = sum(listing.held)
    return Survey(
        shown(listing.root.name),
        listing.kind,
        listing.classes,
        len(listing.held) - test_size,
        test_size,
    )


def load_dataset(
    spec: str,
    *,
    side: int | None = None,
    channels: int | None = None,
    seed: int = 0,
    skip_bad: bool = False,
) -> Dataset:
    """The data set of that name or folder, decoded once where it fits in `MEMORY_BOUND` bytes.

    Small pictures (median longer side up to 64 px) come at 32 px. Photographs are decoded at 8/7
    of `side`, so that training can crop at random and the test takes the centre.

    Args:
        spec: "digits"; a folder with one folder of pictures per class, or with train/ and val/
            (or test/) of that form; an .npz file, or a folder with one, with MNIST's IDX files or
            with CIFAR's batches (`convarium.data.packed`).
        side: of the network's input in pixels; 32 for small pictures, 224 for photographs.
        channels: 1 or 3; when None, 1 where every picture is grey, else 3.
        seed: of the run; the split between training and test does not depend on it.
        skip_bad: leave out the files of a folder that cannot be read, and list them in `skipped`;
            without it they are an error. The rest is as if the folder had never held them.

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
    packed = find_packed(expanded(spec))
    if packed is not None:
        return load_packed(packed, side, channels)
    return _of_folder(_listing(spec, skip_bad), side, channels, checked=skip_bad)


def _listing(spec: str, skip_bad: bool) -> Listing:
    root = _folder(spec)
    return list_folder(root, find_bad(root) if skip_bad else None)


def _folder(spec: str) -> Path:
    path = expanded(spec)
    if "/" not in spec and not os.path.lexists(path):
        raise InputError(
            f"no data set, folder or file is named {spec!r}. Give digits, a folder or an .npz file."
        )
    return Path(os.path.realpath(path))  # Path.resolve raises over a link that leads to itself


def _of_folder(
    listing: Listing, side: int | None, channels: int | None, *, checked: bool
) -> Dataset:
    small = listing.kind == "small"
    side = side or (SMALL_SIDE if small else PHOTO_SIDE)
    decode_side = side if small else round(side * 8 / 7)
    found = channels or (1 if listing.grey else 3)
    store: Store = OnDisk(listing.paths, decode_side, found)
    rows = torch.arange(len(listing.labels))
    if len(rows) * found * decode_side**2 <= MEMORY_BOUND:
        pixels = _read_all(store, rows)
        if channels is None and (pixels == pixels[:, :1]).all():
            pixels = pixels[:, :1].contiguous()  # grey pictures stored as colour
        store, found = InMemory(pixels), pixels.shape[1]
    elif not checked:
        refuse_bad(listing.paths)  # now and all at once, not in the middle of training
    everything = Split(torch.tensor(listing.labels), listing.names, store, rows)
    held = torch.tensor(listing.held)
    train = everything.subset((~held).nonzero().flatten())
    return Dataset(
        name=shown(listing.root.name),
        kind=listing.kind,
        classes=listing.classes,
        channels=found,
        side=side,
        train=train,
        test=everything.subset(held.nonzero().flatten()),
        fingerprint=listing.fingerprint,
        source=shown(listing.root),
        scale=measure_scale(train),
        skipped=listing.skipped,
    )


def _read_all(store: Store, rows: Tensor) -> Tensor:
    try:
        return store.read(rows)
    except BadPicturesError as error:
        raise BadPicturesError(list(error.files), also=OR_SKIP) from error
