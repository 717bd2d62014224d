"""How levels 0 to 255 become a network's input, as a recipe's `normalise` names it.

"channel" is the data set's own mean and deviation of each channel. The others:

    channel mean  the mean of each channel is taken off (VGG section 2.1)
    pixel mean    the mean picture is taken off (AlexNet section 2, ResNet section 4.2)
    unit          levels / 255, from 0 to 1 (SVHN: Wide ResNet section 3, DenseNet section 4.1)
    gcn zca       global contrast normalisation, then ZCA whitening (NiN section 4.1, which follows
                  maxout networks; the constants are those of pylearn2's script for maxout)
    lenet         background -0.1, ink 1.175 (LeNet-5, section II.B)

The two means leave levels as they are otherwise: AlexNet trains "on the (centered) raw RGB values".

What a recipe holds out for validation is not measured, as in the code of stochastic depth
(main.lua: the training part's mean is handed to the other two); the other papers do not say.
Whitening alone is measured on all of the training split: so does the script for maxout networks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from convarium.data.augment import centre_crop
from convarium.data.model import (
    Dataset,
    InMemory,
    PixelScale,
    Scale,
    Split,
    measure_exact_scale,
    measure_scale,
)
from convarium.data.parts import carve
from convarium.errors import UsageError
from convarium.recipes import Recipe

GCN_SCALE = 55.0  # length that a picture gets, in levels
ZCA_BIAS = 0.1  # added to each eigenvalue of the covariance
MOST_VALUES = 4096  # of a picture that is whitened: its covariance has their square
BACKGROUND, INK = -0.1, 1.175
_BATCH = 512


@dataclass(frozen=True, slots=True, eq=False)
class PixelMean:
    """Takes off the mean picture, (C, S, S) float32 in levels."""

    mean: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, H) levels -> float32; of smaller pictures than the mean, its middle counts."""
        return images.float() - centre_crop(self.mean, images.shape[-1])


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Global contrast normalisation, then (x - mean) times a symmetric matrix.

    `mean` (D,) and `matrix` (D, D) float32 with D = C * S * S.
    """

    mean: Tensor
    matrix: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, S, S) levels -> float32."""
        rows = contrast_normalised(images)
        return ((rows - self.mean) @ self.matrix).view(images.shape)


def normalised(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The data set with the scale that the recipe names, measured on what it trains on.

    Raises:
        UsageError: pictures too large to be whitened, or too few to hold any out.
    """
    words, measured = recipe.normalise, dataset.train
    if recipe.validation and words in ("channel", "channel mean", "pixel mean"):
        measured, _ = carve(measured, share=recipe.validation)
    return replace(dataset, scale=_scale(dataset, measured, words))


def _scale(dataset: Dataset, measured: Split, words: str) -> Scale:
    if words == "channel":
        return dataset.scale if measured is dataset.train else _channels(measured)
    if words == "unit":
        return PixelScale((0.0,) * dataset.channels, (1.0,) * dataset.channels)
    if words == "lenet":
        span = INK - BACKGROUND
        return PixelScale((-BACKGROUND / span,) * dataset.channels, (1 / span,) * dataset.channels)
    if words == "gcn zca":
        return whitening(measured)
    mean = mean_picture(measured)
    if words == "pixel mean":
        return PixelMean(mean)
    shares = tuple((mean.double().mean((1, 2)) / 255).tolist())
    return PixelScale(shares, (1 / 255,) * dataset.channels)


def _channels(split: Split) -> PixelScale:
    """Mean and deviation of each channel: of all pictures where they are decoded already."""
    is_decoded = isinstance(split.store, InMemory)
    return measure_exact_scale(split) if is_decoded else measure_scale(split)


def mean_picture(split: Split) -> Tensor:
    """(C, S, S) float32, the mean of all pictures in levels; summed in whole numbers."""
    parts = torch.arange(len(split)).split(_BATCH)
    total = sum(split.images(part).sum(0, dtype=torch.int64) for part in parts)
    assert isinstance(total, Tensor)
    return (total.double() / len(split)).float()


def contrast_normalised(images: Tensor) -> Tensor:
    """(N, C, S, S) levels -> (N, C * S * S) float32 rows of mean 0 and length `GCN_SCALE`.

    A picture of one colour becomes zeros.
    """
    rows = images.float().flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True) / GCN_SCALE
    return rows / torch.where(length < 1e-8, torch.ones_like(length), length)


def whitening(split: Split) -> Whitening:
    """ZCA of the contrast-normalised pictures: directions of variance v are divided by the root
    of v + `ZCA_BIAS`.

    Raises:
        UsageError: more than `MOST_VALUES` values a picture.
    """
    size = split.images([0]).numel()
    if size > MOST_VALUES:
        raise UsageError(f"gcn zca takes pictures of {MOST_VALUES} values, not {size}.")
    total, products = torch.zeros(size).double(), torch.zeros(size, size).double()
    for part in torch.arange(len(split)).split(_BATCH):
        rows = contrast_normalised(split.images(part))
        total += rows.sum(0, dtype=torch.float64)
        products += (rows.T @ rows).double()
    mean = total / len(split)
    covariance = products / len(split) - mean[:, None] * mean
    values, vectors = torch.linalg.eigh(covariance.float())
    matrix = (vectors / (values.clamp_min(0) + ZCA_BIAS).sqrt()) @ vectors.T
    return Whitening(mean.float(), matrix)
