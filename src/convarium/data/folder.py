"""A user's folder: one folder of pictures per class, or train/ and val/ (or test/) of that form."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unicodedata import normalize

from convarium.data.parts import TEST_SHARE, held_back
from convarium.data.pictures import (
    EXTENSIONS,
    OTHER_PICTURES,
    BadPicturesError,
    Header,
    decode,
    read_header,
    strict_pillow,
)
from convarium.errors import InputError
from convarium.files import exact, shown

SMALL_PX = 64
NOT_READ = "a format that is not read; convert it to PNG"
OR_SKIP = ", or leave them out with --skip-bad"
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "val", "valid", "validation", "testing")
# Folders that systems and archives leave beside the classes.
_NO_CLASSES = frozenset(
    ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds, by names and headers alone; nothing is decoded.

    `kind` is "small" where the median picture's longer side is at most 64 px. `skipped` are the
    bad files that were left out on request, by name and reason.
    """

    root: Path
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    names: tuple[str, ...]  # paths within the root, with slashes, as text
    labels: tuple[int, ...]
    held: tuple[bool, ...]  # True for the test split
    kind: str
    grey: bool
    fingerprint: str
    skipped: tuple[tuple[str, str], ...] = ()


Bad = Mapping[Path, str]  # reasons by path, of files to leave out


def list_folder(root: Path, leave_out: Bad | None = None) -> Listing:
    """Names, classes, split and kind of a folder's pictures, in a fixed order.

    With only one level of folders, a stratified 20 % of the pictures are held back for the test,
    decided by a hash of their names.

    Args:
        root: the folder.
        leave_out: bad files by path. With them the listing is that of the folder without them;
            without, a bad header ends it.

    Raises:
        InputError: the folder is missing, or not of a form that we read; lists all bad pictures.
    """
    out = leave_out or {}
    train, test = parts(root)
    classes = tuple(folder.name for folder in subfolders(train))
    found = _pictures(root, train, classes, out)
    if test is not None:
        unknown = sorted({folder.name for folder in subfolders(test)} - set(classes))
        if unknown:
            lacks = ", ".join(_otherwise_spelt(name, classes) for name in unknown)
            raise InputError(f"{shown(test)} has classes that {shown(train)} lacks: {lacks}.")
        second = _pictures(root, test, classes, out, may_lack=True)
        held = [False] * len(found) + [True] * len(second)
        found += second
    paths, names, labels = (tuple(column) for column in zip(*found, strict=True))
    if test is None:
        held = held_back(labels, names, TEST_SHARE, "test")
    headers = _read_headers(root, paths)
    return Listing(
        root=root,
        classes=tuple(map(shown, classes)),
        paths=paths,
        names=names,
        labels=labels,
        held=tuple(held),
        kind=_kind(headers),
        grey=all(header.grey for header in headers),
        fingerprint=_fingerprint(paths, names, labels, held),
        skipped=tuple(sorted((name_in(root, path), reason) for path, reason in out.items())),
    )


def _otherwise_spelt(name: str, classes: tuple[str, ...]) -> str:
    """A class that is missing, and the one that differs from it in case or in its accents' code."""
    alike = [known for known in classes if plain_name(known) == plain_name(name)]
    return f"{shown(name)} (spelt {name!a}, there {alike[0]!a})" if alike else shown(name)


def plain_name(name: str) -> str:
    """The name without what a person does not read in it: case, and how accents are coded."""
    return normalize("NFC", name).casefold()


def find_bad(root: Path) -> dict[Path, str]:
    """Every file of the folder's classes that cannot be read, decoded to its last pixel, by path.

    Raises:
        InputError: the folder is not of a form that we read.
    """
    folders = [folder for part in parts(root) if part for folder in subfolders(part)]
    files = [path for folder in folders for path in files_of(folder)]
    bad = {path: NOT_READ for path in files if path.suffix.lower() in OTHER_PICTURES}
    return bad | _undecodable(path for path in files if path.suffix.lower() in EXTENSIONS)


def refuse_bad(paths: Iterable[Path]) -> None:
    """Decodes every picture once.

    Raises:
        BadPicturesError: lists all that cannot be.
    """
    bad = _undecodable(paths)
    if bad:
        raise BadPicturesError(list(bad.items()), also=OR_SKIP)


def name_in(root: Path, path: Path) -> str:
    """The path within the root, with slashes, as text."""
    return exact(path.relative_to(root).as_posix())


def parts(root: Path) -> tuple[Path, Path | None]:
    """The folder to train on, and the one to test on where there is one."""
    try:
        is_folder = root.is_dir()
    except OSError as error:
        raise _no_list(root, error) from error
    if not is_folder:
        what = "is no folder" if os.path.lexists(root) else "does not exist"
        raise InputError(
            f"{shown(root)} {what}. Give a folder with one folder of pictures per class."
        )
    here = {folder.name.lower(): folder for folder in part_folders(root)}
    if not here:
        return root, None
    train = here[next(name for name in TRAIN_NAMES if name in here)]
    for name in TEST_NAMES:
        if name in here:
            return train, here[name]
    raise InputError(
        f"{shown(root)} has {train.name}/ but no val/ or test/. Add one, or give {shown(train)}."
    )


def part_folders(root: Path) -> list[Path]:
    """The folders to train and to test on, whatever their case; none where these are classes.

    A folder called train without folders in it is a class: of trains, perhaps.
    """
    here = subfolders(root)
    if not any(folder.name.lower() in TRAIN_NAMES and subfolders(folder) for folder in here):
        return []
    return [folder for folder in here if folder.name.lower() in (*TRAIN_NAMES, *TEST_NAMES)]


def subfolders(folder: Path) -> list[Path]:
    """The folders within, by name; not those that are hidden or that a system left."""
    try:
        found = [entry for entry in _listed(folder) if entry.is_dir()]
        return [entry for entry in found if entry.name not in _NO_CLASSES]
    except OSError as error:
        raise _no_list(folder, error) from error


def _pictures(
    root: Path, part: Path, classes: tuple[str, ...], out: Bad, *, may_lack: bool = False
) -> list[tuple[Path, str, int]]:
    """(path, name, label) of each picture, class by class and sorted by name."""
    if len(classes) < 2:
        has = f"one class folder ({shown(classes[0])})" if classes else "no class folders"
        raise InputError(
            f"{shown(part)} has {has}. Give one folder of pictures per class, two or more."
        )
    found: list[tuple[Path, str, int]] = []
    bad: list[Path] = []
    for label, name in enumerate(classes):
        files = files_of(part / name) if (part / name).is_dir() or not may_lack else []
        files = [path for path in files if path not in out]
        of_class = [path for path in files if path.suffix.lower() in EXTENSIONS]
        bad += [path for path in files if path.suffix.lower() in OTHER_PICTURES]
        if len(of_class) < (0 if may_lack else 2) and not bad:
            raise InputError(_too_few(part / name, len(of_class)))
        found += [(path, name_in(root, path), label) for path in of_class]
    if bad:
        raise _all_bad(root, dict.fromkeys(bad, NOT_READ))
    if not found:
        raise InputError(f"{shown(part)} holds no pictures of its {len(classes)} classes.")
    return found


def files_of(folder: Path) -> list[Path]:
    """All that is no folder within, hidden ones left out, by name."""
    try:
        return [entry for entry in _listed(folder) if not entry.is_dir()]
    except OSError as error:
        raise _no_list(folder, error) from error


def _listed(folder: Path) -> list[Path]:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return sorted(entries, key=lambda entry: entry.name)


def _no_list(folder: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{shown(folder)} does not exist. Name a folder that does.")
    if isinstance(error, NotADirectoryError):
        return InputError(f"{shown(folder)} is no folder. Name one.")
    why = error.strerror or str(error)
    return InputError(f"{shown(folder)} cannot be listed: {why}. Give yourself the right to it.")


def _too_few(folder: Path, count: int) -> str:
    if count:
        return f"{shown(folder)} holds 1 picture; a class needs at least 2."
    deeper = " Its subfolders are not looked into." if subfolders(folder) else ""
    if others := len(files_of(folder)):
        deeper += f" Pictures go by their names' endings, which {others} files there lack: "
        deeper += f"convarium data check {shlex.quote(shown(folder.parent))} says what they are."
    return (
        f"{shown(folder)} holds no pictures (JPEG, PNG, WebP, BMP, GIF).{deeper} Fill or remove it."
    )


def _read_headers(root: Path, paths: Iterable[Path]) -> list[Header]:
    with strict_pillow(), ThreadPoolExecutor(4) as pool:
        try:
            return list(pool.map(read_header, paths))
        except BadPicturesError as error:
            raise _all_bad(root, dict(error.files)) from error


def _all_bad(root: Path, known: dict[Path, str]) -> BadPicturesError:
    """Not only the pictures whose header is bad: all that cannot be read, for one telling."""
    return BadPicturesError(sorted((known | find_bad(root)).items()), also=OR_SKIP)


def _undecodable(paths: Iterable[Path]) -> dict[Path, str]:
    with strict_pillow(), ThreadPoolExecutor(4) as pool:
        return dict(outcome for outcome in pool.map(_decoded_or_reason, paths) if outcome)


def _decoded_or_reason(path: Path) -> tuple[Path, str] | None:
    try:
        decode(path, SMALL_PX, 3)
    except BadPicturesError as error:
        return error.files[0]
    return None


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
