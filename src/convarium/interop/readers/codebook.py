"""Weights shared through codebooks, in the manner of Deep Compression: this project's own format.

A safetensors file whose metadata has "format": "convarium-codebook/1". For a tensor K it holds
either K as it is, or

    K.codebook  float, (n,)            the n shared values
    K.index     uint8 or int16, K's    which of them stands where

or, for a pruned tensor, the gaps between its kept values, as the paper stores them:

    K.codebook, K.index (kept,)        as above, one index a kept value
    K.gap       uint8, (kept,)         zeros between a kept value and the one before it
    K.shape     int64, (sides,)        K's sides

A gap longer than 255 is bridged by a value of 0 in the codebook (the paper's figure 2).

Source:
    Han, Mao & Dally 2016, Deep Compression (arXiv 1510.00149v5), sections 2 and 3.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize

from convarium.errors import InputError, times
from convarium.interop.readers.model import Arrays
from convarium.interop.readers.safe import about_it, broken, read_header, too_large

FORMAT = "convarium-codebook/1"
MAX_SIDES = 8
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U8": "<u1",
    "BOOL": "?",
}


def is_codebook(path: Path, head: bytes) -> bool:
    """A safetensors file that says so in its metadata."""
    if len(head) < 9 or head[8:9] != b"{":
        return False
    try:
        return metadata_of(path).get("format") == FORMAT
    except InputError:  # a broken header: the reader of safetensors says how
        return False


def metadata_of(path: Path) -> dict[str, object]:
    """The words beside the tensors of a safetensors file."""
    metadata = read_header(path).get("__metadata__")
    return metadata if isinstance(metadata, dict) else {}


def read_codebook(path: Path, budget_bytes: int) -> Arrays:
    """The arrays of a codebook file, written out.

    Raises:
        InputError: an index beyond its codebook, gaps beyond the end, more than the budget.
    """
    about = about_it(path, read_header(path))
    parts = _parts(path)
    names = [key.removesuffix(".codebook") for key in parts if key.endswith(".codebook")]
    arrays: dict[str, np.ndarray] = {}
    left = budget_bytes
    for name in names:
        book = parts.pop(f"{name}.codebook")
        index = parts.pop(f"{name}.index", None)
        gap, shape = parts.pop(f"{name}.gap", None), parts.pop(f"{name}.shape", None)
        values = _looked_up(path, name, book, index)
        if (gap is None) != (shape is None):
            raise InputError(f"{path}: {name} has one of gap and shape; a pruned tensor has both.")
        if gap is not None and shape is not None:
            sides = _sides(path, name, shape)
            left -= prod(sides) * values.itemsize
            if left < 0:
                raise too_large(path, budget_bytes - left, budget_bytes)
            values = _spread(path, name, values, gap, sides)
        arrays[name] = values
    return Arrays(arrays | parts, **about)


def _parts(path: Path) -> dict[str, np.ndarray]:
    """Everything that the file holds; bfloat16, which NumPy lacks, as the float32 of its value."""
    try:
        held = deserialize(path.read_bytes())
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise broken(path, error) from error
    parts: dict[str, np.ndarray] = {}
    for key, entry in held:
        kind, shape, data = entry["dtype"], entry["shape"], entry["data"]
        if kind == "BF16":
            wide = np.frombuffer(data, "<u2").astype("<u4") << 16
            parts[key] = wide.view("<f4").reshape(shape)
        elif kind in _TYPES:
            parts[key] = np.frombuffer(data, _TYPES[kind]).reshape(shape)
        else:
            raise InputError(f"{path}: {key} holds {kind}, which has no place in a codebook file.")
    return parts


def _looked_up(path: Path, name: str, book: np.ndarray, index: np.ndarray | None) -> np.ndarray:
    if index is None or index.dtype not in (np.uint8, np.int16):
        raise InputError(f"{path}: {name}.index is missing, or not of uint8 or int16.")
    if book.ndim != 1 or book.dtype.kind != "f" or not len(book):
        raise InputError(f"{path}: {name}.codebook is no row of floats.")
    if index.size and not 0 <= int(index.min()) <= int(index.max()) < len(book):
        raise InputError(f"{path}: {name}.index goes beyond its codebook of {len(book)} values.")
    return book[index]


def _sides(path: Path, name: str, shape: np.ndarray) -> list[int]:
    is_shape = shape.dtype == np.int64 and shape.ndim == 1 and len(shape) <= MAX_SIDES
    sides = [int(side) for side in shape] if is_shape else [-1]
    if any(side < 0 for side in sides):
        raise InputError(f"{path}: {name}.shape is no shape: {shape.ravel()[:8].tolist()}.")
    return sides


def _spread(
    path: Path, name: str, values: np.ndarray, gap: np.ndarray, sides: list[int]
) -> np.ndarray:
    """Kept values at their places, zeros between."""
    if gap.dtype != np.uint8 or gap.shape != values.shape or gap.ndim != 1:
        raise InputError(f"{path}: {name}.gap is not one uint8 a kept value.")
    places = (gap.astype(np.int64) + 1).cumsum() - 1
    if len(places) and int(places[-1]) >= prod(sides):
        says = times(sides)
        raise InputError(f"{path}: the gaps of {name} run beyond its shape {says}.")
    whole = np.zeros(prod(sides), values.dtype)
    whole[places] = values
    return whole.reshape(sides)
