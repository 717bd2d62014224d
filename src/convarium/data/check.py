"""A folder of pictures looked over: what a race would refuse, and what would spoil its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from convarium.data.folder import (
    TEST_NAMES,
    files_of,
    list_folder,
    name_in,
    part_folders,
    plain_name,
    subfolders,
)
from convarium.data.look import Look, look, passed_over
from convarium.data.near import near_pairs
from convarium.data.pictures import OTHER_PICTURES, strict_pillow
from convarium.errors import InputError
from convarium.files import exact, shown

_EDGES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True, slots=True)
class File:
    """A file of the folder. `part` is "train", "val" ... or "" where there are no parts."""

    path: Path
    name: str  # within the folder, with slashes
    part: str
    label: str  # its class, or "" where it lies in none


@dataclass(frozen=True, slots=True)
class Named:
    """A file and what is to be said of it."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Twins:
    """Two pictures that are the same or nearly so.

    `kind` is "bytes" (the same file), "pixels" (decoded the same) or "near"; `bits` are those in
    which the difference hashes differ, of 128. `leak`: one is trained on, the other tested on.
    `conflict`: they are of two classes.
    """

    first: str
    second: str
    kind: str
    bits: int
    leak: bool
    conflict: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. Sizes count readable pictures by the longer side in pixels."""

    folder: str
    pictures: int
    form: str | None  # why the folder could not be raced, beside its bad files
    unreadable: tuple[Named, ...]
    suspicious: tuple[Named, ...]
    passed_over: tuple[Named, ...]
    twins: tuple[Twins, ...]
    balance: dict[str, dict[str, int]]  # pictures of each class in each part
    sizes: dict[str, int]
    median_size: tuple[float, float] | None  # width, height
    formats: dict[str, int]

    @property
    def refused(self) -> bool:
        """True where a race would refuse the folder."""
        return self.form is not None or bool(self.unreadable)

    @property
    def spoilt(self) -> bool:
        """True where test pictures are trained on, or one picture is of two classes."""
        return any(pair.leak or (pair.conflict and pair.kind != "near") for pair in self.twins)


def check_folder(root: Path) -> Report:
    """Looks at every file of a folder, decoding each picture once.

    Raises:
        InputError: it is no folder, or cannot be listed.
    """
    files = list(_files(root))
    with strict_pillow(), ThreadPoolExecutor(4) as pool:
        aside = {
            file: reason
            for file, reason in zip(files, pool.map(_reason_aside, files), strict=True)
            if reason is not None
        }
        pictures = [file for file in files if file not in aside]
        looks = dict(zip(pictures, pool.map(_look, pictures), strict=True))
    bad = {file: found for file, found in looks.items() if isinstance(found, str)}
    good = {file: found for file, found in looks.items() if isinstance(found, Look)}
    form, held = _form(root, {file.path: reason for file, reason in bad.items()})
    return Report(
        folder=shown(root),
        pictures=len(pictures),
        form=form,
        unreadable=_named(bad),
        suspicious=(
            *_alike_classes(good),
            *_named({file: "; ".join(found.odd) for file, found in good.items()}),
        ),
        passed_over=_named(aside),
        twins=tuple(_twins(good, held)),
        balance=_balance(good),
        sizes=_sizes(good),
        median_size=_median_size(good),
        formats=dict(Counter(found.format for found in good.values()).most_common()),
    )


def _files(root: Path) -> Iterator[File]:
    """Every file that is not hidden. Links to folders are followed for parts and classes alone."""
    here = [folder.name for folder in subfolders(root)]
    parts = [folder.name for folder in part_folders(root)]
    for path in files_of(root):
        yield File(path, name_in(root, path), "", "")
    for name in here:
        if name in parts:
            for path in files_of(root / name):
                yield File(path, name_in(root, path), name, "")
            for folder in subfolders(root / name):
                yield from _of_class(root, folder, name)
        else:
            yield from _of_class(root, root / name, "")


def _of_class(root: Path, folder: Path, part: str) -> Iterator[File]:
    label = exact(folder.name)
    for path in files_of(folder):
        yield File(path, name_in(root, path), part, label)
    deeper = [entry for entry in subfolders(folder) if not entry.is_symlink()]
    while deeper:
        below = deeper.pop()
        for path in files_of(below):
            yield File(path, name_in(root, path), part, "")
        deeper += [entry for entry in subfolders(below) if not entry.is_symlink()]


def _reason_aside(file: File) -> str | None:
    aside = passed_over(file.path)
    if aside is None and not file.label:
        return "in no class folder: classes are the first folders, what lies deeper is not read"
    return aside


def _look(file: File) -> Look | str:
    if file.path.suffix.lower() in OTHER_PICTURES:
        return "a format that is not read; convert it to PNG"
    return look(file.path)


def _form(root: Path, bad: dict[Path, str]) -> tuple[str | None, dict[str, bool]]:
    """Why the folder is of no form that we read, or else which pictures would be tested on."""
    try:
        listing = list_folder(root, bad)
    except InputError as error:
        return str(error), {}
    return None, dict(zip(listing.names, listing.held, strict=True))


def _named(told: dict[File, str]) -> tuple[Named, ...]:
    return tuple(Named(file.name, reason) for file, reason in told.items() if reason)


def _alike_classes(good: dict[File, Look]) -> Iterator[Named]:
    """Classes of one part that a person would read as one."""
    first: dict[tuple[str, str], str] = {}
    for part, label in dict.fromkeys((file.part, file.label) for file in good):
        known = first.setdefault((part, plain_name(label)), label)
        if known != label:
            name = f"{part}/{label}/" if part else f"{label}/"
            yield Named(name, f"a class, and {known!a} is another: are they one?")


def _twins(good: dict[File, Look], held: dict[str, bool]) -> Iterator[Twins]:
    """Each copy with the first of its kind, then pairs that are only near."""
    files, firsts = list(good), dict[bytes, File]()

    def twins(a: File, b: File, kind: str, bits: int = 0) -> Twins:
        tested = [held.get(file.name, file.part.lower() in TEST_NAMES) for file in (a, b)]
        return Twins(a.name, b.name, kind, bits, tested[0] != tested[1], a.label != b.label)

    for file in files:
        first = firsts.setdefault(good[file].pixels, file)
        if first is not file:
            same = good[first].data == good[file].data
            yield twins(first, file, "bytes" if same else "pixels")
    alone = list(firsts.values())
    small = np.stack([good[f].small for f in alone]) if alone else np.empty((0, 9, 9), np.uint8)
    for pair in near_pairs(small):
        yield twins(alone[pair.first], alone[pair.second], "near", pair.bits)


def _balance(good: dict[File, Look]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for file in good:
        of_part = counts.setdefault(file.part or "all", {})
        of_part[file.label] = of_part.get(file.label, 0) + 1
    return counts


def _sizes(good: dict[File, Look]) -> dict[str, int]:
    longer = [max(found.width, found.height) for found in good.values()]
    edges = [0, *_EDGES, 10**9]
    counts = {
        f"up to {high} px" if high < 10**9 else f"over {low} px": sum(
            low < n <= high for n in longer
        )
        for low, high in pairwise(edges)
    }
    return {words: count for words, count in counts.items() if count}


def _median_size(good: dict[File, Look]) -> tuple[float, float] | None:
    if not good:
        return None
    sides = good.values()
    return median(found.width for found in sides), median(found.height for found in sides)
