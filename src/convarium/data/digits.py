"""The digits that scikit-learn ships: 1,797 real handwritten digits, 8x8 pixels, levels 0 to 16.

The test part of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak,
1998), written by 13 people. Offline, in every installation.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from convarium.data.model import Dataset, InMemory, Split, measure_scale
from convarium.data.parts import TEST_SHARE, held_back

SOURCE = "scikit-learn's load_digits: UCI Optical Recognition of Handwritten Digits, 8x8 pixels"
SIDE = 32


def load_digits(*, side: int | None = None, channels: int | None = None) -> Dataset:
    """The digits at `side` pixels (32), smoothly enlarged; 1,437 to train on and 360 to test.

    Args:
        side: of the pictures in pixels.
        channels: 1, or 3 for three equal ones.
    """
    return _made(side or SIDE, channels or 1)


# A race asks at every step; the splits' tensors are read, never written.
@lru_cache(maxsize=4)
def _made(side: int, channels: int) -> Dataset:
    from sklearn.datasets import load_digits as of_sklearn

    bunch = of_sklearn()
    pixels = _enlarged(torch.from_numpy(bunch.images), side)
    pixels = pixels.expand(-1, channels, -1, -1).contiguous()
    labels = torch.from_numpy(bunch.target).long()
    names = tuple(f"digit {index}" for index in range(len(labels)))
    held = torch.tensor(held_back(labels.tolist(), names, TEST_SHARE, "digits"))
    everything = Split(labels, names, InMemory(pixels), torch.arange(len(labels)))
    train = everything.subset((~held).nonzero().flatten())
    digest = hashlib.sha256(bunch.images.tobytes() + labels.numpy().tobytes() + bytes(held.int()))
    return Dataset(
        name="digits",
        kind="small",
        classes=tuple(str(digit) for digit in range(10)),
        channels=channels,
        side=side,
        train=train,
        test=everything.subset(held.nonzero().flatten()),
        fingerprint=digest.hexdigest(),
        source=SOURCE,
        scale=measure_scale(train),
    )


def _enlarged(images: Tensor, side: int) -> Tensor:
    """(N, 8, 8) levels 0..16 -> (N, 1, side, side) uint8, bicubic."""
    large = F.interpolate(
        images[:, None].float(), size=(side, side), mode="bicubic", align_corners=False
    )
    return (large * (255 / 16)).round().clamp(0, 255).to(torch.uint8)
