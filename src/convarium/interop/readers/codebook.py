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

from dataclasses import replace
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from convarium.errors import InputError
from convarium.interop.readers.model import Foreign
from convarium.interop.readers.safe import read_header, read_safetensors, too_large

FORMAT = "convarium-codebook/1"
MAX_SIDES = 8


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


def read_codebook(path: Path, budget_bytes: int) -> Foreign:
    """The tensors of a codebook file, written out.

    Raises:
        InputError: an index beyond its codebook, gaps beyond the end, more than the budget.
    """
    held = read_safetensors(path, budget_bytes)
    parts = dict(held.tensors)
    names = [key.removesuffix(".codebook") for key in parts if key.endswith(".codebook")]
    tensors: dict[str, Tensor] = {}
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
            left -= prod(sides) * values.element_size()
            if left < 0:
                raise too_large(path, budget_bytes - left, budget_bytes)
            values = _spread(path, name, values, gap, sides)
        tensors[name] = values
    return replace(held, tensors=tensors | parts)


def _looked_up(path: Path, name: str, book: Tensor, index: Tensor | None) -> Tensor:
    if index is None or index.dtype not in (torch.uint8, torch.int16):
        raise InputError(f"{path}: {name}.index is missing, or not of uint8 or int16.")
    if book.dim() != 1 or not book.is_floating_point() or not len(book):
        raise InputError(f"{path}: {name}.codebook is no row of floats.")
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < len(book):
        raise InputError(f"{path}: {name}.index goes beyond its codebook of {len(book)} values.")
    return book[index.long()]


def _sides(path: Path, name: str, shape: Tensor) -> list[int]:
    is_shape = shape.dtype == torch.int64 and shape.dim() == 1 and len(shape) <= MAX_SIDES
    sides = [int(side) for side in shape] if is_shape else [-1]
    if any(side < 0 for side in sides):
        raise InputError(f"{path}: {name}.shape is no shape: {shape.flatten()[:8].tolist()}.")
    return sides


def _spread(path: Path, name: str, values: Tensor, gap: Tensor, sides: list[int]) -> Tensor:
    """Kept values at their places, zeros between."""
    if gap.dtype != torch.uint8 or gap.shape != values.shape or gap.dim() != 1:
        raise InputError(f"{path}: {name}.gap is not one uint8 a kept value.")
    places = (gap.long() + 1).cumsum(0) - 1
    if len(places) and int(places[-1]) >= prod(sides):
        says = "x".join(map(str, sides))
        raise InputError(f"{path}: the gaps of {name} run beyond its shape {says}.")
    whole = torch.zeros(prod(sides), dtype=values.dtype)
    whole[places] = values
    return whole.reshape(sides)
