"""A user's folder: one folder of pictures per class, or train/ and val/ (or test/) of that form."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from convarium.data.parts import TEST_SHARE, held_back
from convarium.data.pictures import (
    EXTENSIONS,
    OTHER_PICTURES,
    BadPicturesError,
    Header,
    read_header,
    strict_pillow,
)
from convarium.errors import InputError

SMALL_PX = 64
_TEST_NAMES = ("test", "val", "valid", "validation")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds, by names and headers alone; nothing is decoded.

    `kind` is "small" where the median picture's longer side is at most 64 px.
    """

    root: Path
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    names: tuple[str, ...]  # paths within the root, with slashes
    labels: tuple[int, ...]
    held: tuple[bool, ...]  # True for the test split
    kind: str
    grey: bool
    fingerprint: str


def list_folder(root: Path) -> Listing:
    """Names, classes, split and kind of a folder's pictures, in a fixed order.

    With only one level of folders, a stratified 20 % of the pictures are held back for the test,
    decided by a hash of their names.

    Raises:
        InputError: the folder is missing, or not of a form that we read; lists all bad pictures.
    """
    train, test = _parts(root)
    classes = tuple(folder.name for folder in _subfolders(train))
    found = _pictures(root, train, classes)
    if test is not None:
        unknown = sorted({folder.name for folder in _subfolders(test)} - set(classes))
        if unknown:
            raise InputError(f"{test} has classes that {train} lacks: {', '.join(unknown)}.")
        second = _pictures(root, test, classes, may_lack=True)
        held = [False] * len(found) + [True] * len(second)
        found += second
    paths, names, labels = (tuple(column) for column in zip(*found, strict=True))
    if test is None:
        held = held_back(labels, names, TEST_SHARE, "test")
    headers = _read_headers(paths)
    return Listing(
        root=root,
        classes=classes,
        paths=paths,
        names=names,
        labels=labels,
        held=tuple(held),
        kind=_kind(headers),
        grey=all(header.grey for header in headers),
        fingerprint=_fingerprint(paths, names, labels, held),
    )


def _parts(root: Path) -> tuple[Path, Path | None]:
    """The folder to train on, and the one to test on where there is one."""
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise InputError(f"{root} {what}. Give a folder with one folder of pictures per class.")
    here = {folder.name: folder for folder in _subfolders(root)}
    if "train" not in here:
        return root, None
    for name in _TEST_NAMES:
        if name in here:
            return here["train"], here[name]
    raise InputError(f"{root} has train/ but no val/ or test/. Add one, or give {here['train']}.")


def _subfolders(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror}.") from error
    return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _pictures(
    root: Path, part: Path, classes: tuple[str, ...], *, may_lack: bool = False
) -> list[tuple[Path, str, int]]:
    """(path, name, label) of each picture, class by class and sorted by name."""
    if len(classes) < 2:
        has = f"one class folder ({classes[0]})" if classes else "no class folders"
        raise InputError(f"{part} has {has}. Give one folder of pictures per class, two or more.")
    found, bad = [], []
    for label, name in enumerate(classes):
        files = _files(part / name) if (part / name).is_dir() or not may_lack else []
        of_class = [path for path in files if path.suffix.lower() in EXTENSIONS]
        bad += [path for path in files if path.suffix.lower() in OTHER_PICTURES]
        if len(of_class) < (0 if may_lack else 2) and not bad:
            raise InputError(_too_few(part / name, len(of_class)))
        found += [(path, path.relative_to(root).as_posix(), label) for path in of_class]
    if bad:
        reason = "a format that is not read; convert it to PNG"
        raise BadPicturesError([(path, reason) for path in bad])
    if not found:
        raise InputError(f"{part} holds no pictures of the classes {', '.join(classes)}.")
    return found


def _files(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror}.") from error
    return [entry for entry in entries if not entry.name.startswith(".") and not entry.is_dir()]


def _too_few(folder: Path, count: int) -> str:
    if count:
        return f"{folder} holds 1 picture; a class needs at least 2."
    deeper = " Its subfolders are not looked into." if _subfolders(folder) else ""
    return f"{folder} holds no pictures (JPEG, PNG, WebP, BMP, GIF).{deeper} Fill or remove it."


def _read_headers(paths: Iterable[Path]) -> list[Header]:
    headers, bad = [], []
    with strict_pillow(), ThreadPoolExecutor(4) as pool:
        for outcome in pool.map(_header_or_reason, paths):
            if isinstance(outcome, Header):
                headers.append(outcome)
            else:
                bad.append(outcome)
    if bad:
        raise BadPicturesError(bad)
    return headers


def _header_or_reason(path: Path) -> Header | tuple[Path, str]:
    try:
        return read_header(path)
    except BadPicturesError as error:
        return error.files[0]


def _kind(headers: list[Header]) -> str:
    longer = median(max(header.width, header.height) for header in headers)
    return "small" if longer <= SMALL_PX else "photographs"


def _fingerprint(
    paths: Iterable[Path], names: Iterable[str], labels: Iterable[int], held: Iterable[bool]
) -> str:
    digest = hashlib.sha256()
    for path, name, label, test in zip(paths, names, labels, held, strict=True):
        digest.update(f"{name}\0{path.stat().st_size}\0{label}\0{int(test)}\n".encode())
    return digest.hexdigest()
