"""What a data set is once it is loaded: labels, pictures by index, and how pixels become input."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from convarium.data.augment import centre_crop
from convarium.data.pictures import BadPicturesError, checksum, decode, strict_pillow

MEMORY_BOUND = 1_000_000_000  # bytes of decoded pictures that are kept in memory


class Store(Protocol):
    """Pictures by index."""

    def read(self, indices: Tensor) -> Tensor:
        """(N, C, S, S) uint8 of the pictures at `indices` (N,) int64."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """Pictures that were all decoded once. `pixels` is (M, C, S, S) uint8."""

    pixels: Tensor

    def read(self, indices: Tensor) -> Tensor:
        """(N, C, S, S) uint8."""
        return self.pixels[indices]

    def checksum(self) -> int:
        """CRC-32 of the pixels."""
        return zlib.crc32(self.pixels.contiguous().numpy().data)


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Pictures decoded whenever they are asked for, by a few threads (Pillow frees the GIL)."""

    paths: tuple[Path, ...]
    side: int
    channels: int
    threads: int = 4

    def read(self, indices: Tensor) -> Tensor:
        """(N, C, S, S) uint8.

        Raises:
            BadPicturesError: lists every file of the batch that cannot be decoded.
        """
        chosen = [self.paths[index] for index in indices.tolist()]
        pixels = torch.empty(len(chosen), self.channels, self.side, self.side, dtype=torch.uint8)
        job = partial(_decode_into, pixels.numpy(), chosen, self.side, self.channels)
        with strict_pillow(), ThreadPoolExecutor(self.threads) as pool:
            bad = [item for item in pool.map(job, range(len(chosen))) if item is not None]
        if bad:
            raise BadPicturesError(bad)
        return pixels

    def checksum(self) -> int:
        """CRC-32 over those of the files; reads every file, decodes none.

        Raises:
            BadPicturesError: the first file that cannot be read.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            each = pool.map(checksum, self.paths)
            return zlib.crc32(np.fromiter(each, "<u4", len(self.paths)).data)


@dataclass(frozen=True, slots=True)
class Split:
    """One part of a data set: labels (N,) int64, a name each, and the pictures behind them."""

    labels: Tensor
    names: tuple[str, ...]  # of each picture: its path in the folder, or "digit 17"
    store: Store
    rows: Tensor  # (N,) int64, this part's places in the store

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: Tensor | Sequence[int]) -> Tensor:
        """(n, C, S, S) uint8 at the decode side S, of the pictures at `indices` of this split."""
        return self.store.read(self.rows[torch.as_tensor(indices, dtype=torch.int64)])

    def picture(self, index: int) -> Image.Image:
        """One picture as the network sees it, before cropping; for the report."""
        pixels = self.images([index])[0].numpy()
        return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))

    def subset(self, indices: Tensor | Sequence[int]) -> Split:
        """The pictures at `indices` as a split of their own."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        names = tuple(self.names[index] for index in chosen.tolist())
        return Split(self.labels[chosen], names, self.store, self.rows[chosen])


class Scale(Protocol):
    """Levels -> a network's input; `convarium.data.normalise` has the kinds."""

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) levels 0 to 255, of any type -> the same shape in float32."""


@dataclass(frozen=True, slots=True)
class PixelScale:
    """uint8 -> float32 with mean 0 and deviation 1 per channel; both are shares of 255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) levels 0 to 255 -> the same shape in float32."""
        mean = torch.tensor(self.mean).view(-1, 1, 1) * 255
        std = torch.tensor(self.std).view(-1, 1, 1) * 255
        return torch.sub(images, mean).div_(std)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled pictures in two parts. `train` may be carved for validation, `test` never seen.

    `side` is what the network gets; the splits decode at `side` or somewhat larger, for cropping.
    """

    name: str
    kind: str  # "small" (up to 64 px) or "photographs"
    classes: tuple[str, ...]
    channels: int
    side: int
    train: Split
    test: Split
    fingerprint: str  # SHA-256 of names, labels, split, and pixels or file sizes
    source: str  # where it came from, in words
    scale: Scale
    skipped: tuple[tuple[str, str], ...] = ()  # bad files that were left out: name, reason
    drawn_px: int | None = None  # side of the pictures within a border that fills them up

    def prepare(self, images: Tensor) -> Tensor:
        """Pictures of a split as a network takes them at test: centre crop, scaled to float32."""
        return self.scale(centre_crop(images, self.side))


def measure_scale(split: Split, *, most: int = 2048) -> PixelScale:
    """Mean and deviation of each channel over the first `most` pictures of a shuffled split."""
    from convarium.data.counter import order

    indices = torch.from_numpy(order(0, 0, len(split)))[:most]
    return _scale_of(split.images(part).double().div_(255) for part in indices.split(128))


def measure_exact_scale(split: Split) -> PixelScale:
    """Mean and deviation of each channel over the whole split, summed in whole numbers."""
    parts = torch.arange(len(split)).split(1024)
    total = square = torch.zeros((), dtype=torch.int64)
    pixels = 0
    for part in parts:
        levels = split.images(part).to(torch.int32)
        total = total + levels.sum((0, 2, 3))
        square = square + (levels * levels).sum((0, 2, 3))
        pixels += levels.shape[0] * levels.shape[2] * levels.shape[3]
    return _scale(total.double() / 255, square.double() / 255**2, pixels)


def _scale_of(batches: Iterable[Tensor]) -> PixelScale:
    """Mean and deviation of each channel of (N, C, H, W) float64 pictures in [0, 1]."""
    total = square = torch.zeros(0)
    pixels = 0
    for images in batches:
        sums, squares = images.sum((0, 2, 3)), images.square().sum((0, 2, 3))
        total = total + sums if pixels else sums
        square = square + squares if pixels else squares
        pixels += images.shape[0] * images.shape[2] * images.shape[3]
    return _scale(total, square, pixels)


def _scale(total: Tensor, square: Tensor, pixels: int) -> PixelScale:
    mean = total / pixels
    # A picture of one colour has deviation 0: one grey level stands for it.
    std = (square / pixels - mean.square()).clamp_min(0).sqrt().clamp_min(1 / 255)
    return PixelScale(tuple(mean.tolist()), tuple(std.tolist()))


def _decode_into(
    pixels: np.ndarray, paths: Sequence[Path], side: int, channels: int, place: int
) -> tuple[Path, str] | None:
    try:
        pixels[place] = decode(paths[place], side, channels)
    except BadPicturesError as error:
        return error.files[0]
    return None
