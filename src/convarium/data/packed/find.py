"""Which packed data set a path is, told by names alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from convarium.data.packed.arrays import Arrays, bad
from convarium.data.packed.cifar import Layout, cifar_files, find_layout, read_cifar
from convarium.data.packed.idx import idx_files, read_idx
from convarium.data.packed.npz import read_npz
from convarium.files import exact, shown

_END = 1 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed set: where it is, its files, and of what form it is."""

    root: Path
    files: tuple[Path, ...]
    form: str  # "npz", "IDX" or the words of a CIFAR layout
    layout: Layout | None = None

    @property
    def name(self) -> str:
        """The folder's name, or the file's without its ending."""
        return shown(self.root.stem if self.root.is_file() else self.root.name)

    def read(self) -> Arrays:
        """Decodes all of it.

        Raises:
            InputError: it is damaged, or no data set.
        """
        if self.layout is not None:
            return read_cifar(self.root, self.layout)
        if self.form == "IDX":
            (files,) = idx_files(self.files).values()
            return read_idx(files, self.root)
        return read_npz(self.files[0])

    def identity(self) -> str:
        """SHA-256 of each file's name, size, time of change, and first and last megabyte."""
        digest = hashlib.sha256(self.form.encode())
        for path in self.files:
            about = path.stat()
            digest.update(f"\0{exact(path)}\0{about.st_size}\0{about.st_mtime_ns}\0".encode())
            with path.open("rb") as file:
                digest.update(file.read(_END))
                if about.st_size > _END:
                    file.seek(max(_END, about.st_size - _END))
                    digest.update(file.read(_END))
        return digest.hexdigest()


def find_packed(path: Path) -> Packed | None:
    """The packed set at `path`; None where there is none, or a folder of pictures.

    A folder with class folders is one of pictures, whatever lies beside them.

    Raises:
        InputError: a folder with several sets, or without the right to list it.
    """
    if path.is_file():
        return Packed(path, (path,), "npz") if path.suffix.lower() == ".npz" else None
    if not path.is_dir():
        return None
    try:
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
        files = sorted(entry for entry in entries if entry.is_file())
    except OSError as error:
        raise bad(
            path, f"cannot be listed ({error.strerror})", "Give yourself the right"
        ) from error
    if len(files) < len(entries):
        return None
    return _among(path, files)


def _among(root: Path, files: list[Path]) -> Packed | None:
    found: list[Packed] = []
    layout = find_layout(root)
    if layout is not None:
        found.append(Packed(root, cifar_files(root, layout), layout.words, layout))
    for parts in idx_files(files).values():
        found.append(Packed(root, tuple(parts.values()), "IDX"))
    found += [Packed(root, (path,), "npz") for path in files if path.suffix.lower() == ".npz"]
    if len(found) > 1:
        names = ", ".join(shown(one.files[0].name) for one in found[:4])
        raise bad(root, f"holds {len(found)} data sets ({names})", "Give one of them, or a folder")
    return found[0] if found else None
