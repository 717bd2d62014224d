"""Small data sets in memory, for tests of views."""

from __future__ import annotations

import numpy as np
import torch

from convarium.data import Dataset, PixelScale, Split
from convarium.data.model import InMemory
from convarium.recipes import Recipe

RAW = 1 / 255  # a deviation that leaves levels as they are


def pictures(count: int, side: int, channels: int = 3, seed: int = 1) -> torch.Tensor:
    """(count, channels, side, side) uint8 at random."""
    drawn = np.random.default_rng(seed).integers(0, 256, (count, channels, side, side), np.uint8)
    return torch.from_numpy(drawn)


def dataset(pixels: torch.Tensor, side: int | None = None) -> Dataset:
    """A data set whose scale leaves levels as they are; training and test part are the same."""
    count, channels = pixels.shape[:2]
    names = tuple(map(str, range(count)))
    split = Split(torch.arange(count) % 2, names, InMemory(pixels), torch.arange(count))
    scale = PixelScale((0.0,) * channels, (RAW,) * channels)
    size = side or pixels.shape[-1]
    return Dataset("d", "small", ("a", "b"), channels, size, split, split, "", "", scale)


def recipe(**fields: object) -> Recipe:
    """One that changes nothing but what `fields` say."""
    return Recipe(name="r", lr=0.1, epochs=1, **{"shift_px": 0, **fields})  # type: ignore[arg-type]
