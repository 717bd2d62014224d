"""Decoded packed sets, kept under the user's home and mapped into memory when they come again.

An entry is a folder that appears only when it is complete. Its about.json has a line with the sum
of the rest, and of every array the size and a sum over pieces spread through the file: enough to
notice what a full disk, a crash or an editor did to it, without reading all of it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from convarium.data.packed.arrays import Arrays
from convarium.files import home

SCHEMA = "convarium-data/1"
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_PIECES, _PIECE = 64, 1 << 16


def through_cache(identity: str, source: str, read: Callable[[], Arrays]) -> tuple[Arrays, str]:
    """The arrays and their fingerprint: kept ones where they are sound, else as `read` gives them.

    Args:
        identity: of the files that are read.
        source: where they lie; entries of earlier versions of the same source are removed.
        read: decodes them.
    """
    folder = home() / "data-cache" / identity[:32]
    found = _kept(folder)
    if found is not None:
        return found
    arrays = read()
    fingerprint = arrays.fingerprint()
    with suppress(OSError):  # a home that is full or cannot be written costs only time
        _keep(folder, source, arrays, fingerprint)
    return arrays, fingerprint


def _kept(folder: Path) -> tuple[Arrays, str] | None:
    """The entry, or None where there is none that is whole."""
    try:
        about = _about(folder)
        for key in _ARRAYS:
            if about["sums"][key] != _sum(folder / f"{key}.npy"):
                return None
        # Copy on write: torch takes no array that it might not write to.
        told: dict[str, Any] = {
            key: np.load(folder / f"{key}.npy", mmap_mode="c", allow_pickle=False)
            for key in _ARRAYS
        }
        names = about["names"]
        arrays = Arrays(**told, classes=tuple(about["classes"]), names=names and tuple(names))
        return arrays, about["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _about(folder: Path) -> dict[str, Any]:
    check, _, body = (folder / "about.json").read_bytes().partition(b"\n")
    if check != _hex(zlib.crc32(body)):
        raise ValueError("about.json is damaged")
    about = json.loads(body)
    if not isinstance(about, dict) or about.get("schema") != SCHEMA:
        raise ValueError("about.json is of another version")
    return about


def _keep(folder: Path, source: str, arrays: Arrays, fingerprint: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _forget(folder.parent, source)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        for key in _ARRAYS:
            np.save(temporary / f"{key}.npy", np.ascontiguousarray(getattr(arrays, key)))
        about = {
            "schema": SCHEMA,
            "source": source,
            "fingerprint": fingerprint,
            "classes": arrays.classes,
            "names": arrays.names,
            "sums": {key: _sum(temporary / f"{key}.npy") for key in _ARRAYS},
        }
        body = json.dumps(about).encode()
        (temporary / "about.json").write_bytes(_hex(zlib.crc32(body)) + b"\n" + body)
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _forget(cache: Path, source: str) -> None:
    """Removes the entries of earlier versions of a source."""
    for entry in cache.iterdir():
        with suppress(OSError, ValueError):
            if _about(entry)["source"] == source:
                shutil.rmtree(entry)


def _sum(path: Path) -> str:
    """Size, and CRC-32 of pieces from the first bytes to the last."""
    size, total = path.stat().st_size, 0
    with path.open("rb") as file:
        for number in range(_PIECES):
            file.seek(max(0, size - _PIECE) * number // (_PIECES - 1))
            total = zlib.crc32(file.read(_PIECE), total)
    return f"{size} {total:08x}"


def _hex(number: int) -> bytes:
    return f"{number:08x}".encode()
