"""Colour changes of training pictures, each a pure function of (seed, epoch, sample id)."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from convarium.data.counter import Stream, normals, order, shares
from convarium.data.model import Split

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601, in torchvision's digits
_ORDERS = list(permutations(range(3)))
MOST = 2048  # pictures that the covariance is measured on


def colour_axes(split: Split) -> Tensor:
    """(C, C) float32: eigenvectors of the channels' covariance as columns, times its eigenvalues.

    Measured on the first `MOST` pictures of a shuffled split, with channels as shares of 255.
    """
    indices = torch.from_numpy(order(0, 0, len(split)))[:MOST]
    total: Tensor | float = 0.0
    products: Tensor | float = 0.0
    pixels = 0
    for part in indices.split(64):
        rows = split.images(part).double().div_(255).transpose(0, 1).flatten(1)
        total, products = total + rows.sum(1), products + rows @ rows.T
        pixels += rows.shape[1]
    mean = torch.as_tensor(total) / pixels
    values, vectors = torch.linalg.eigh(torch.as_tensor(products) / pixels - mean[:, None] * mean)
    return (vectors * values.clamp_min(0)).float()


def pca_noise(
    levels: Tensor, ids: Tensor, axes: Tensor, sigma: float, *, seed: int, epoch: int
) -> Tensor:
    """Adds to each picture one colour: its axes times normal numbers of deviation `sigma`.

    Args:
        levels: (N, C, H, W) float32, 0 to 255.
        ids: (N,) int64 sample ids.
        axes: of `colour_axes`.
        sigma: AlexNet has 0.1.
        seed: of the run.
        epoch: draws differ from epoch to epoch.

    Source:
        AlexNet, section 4.1.
    """
    drawn = normals(seed, Stream.PCA, epoch, ids.numpy(), len(axes)) * sigma
    colours = torch.from_numpy(drawn).float() @ axes.T * 255
    return levels + colours[:, :, None, None]


def jittered(levels: Tensor, ids: Tensor, most: float, *, seed: int, epoch: int) -> Tensor:
    """Brightness, contrast and saturation times factors in 1 - most .. 1 + most, in any order.

    Args:
        levels: (N, C, H, W) float32, 0 to 255; clamped to that range after each change.
        ids: (N,) int64 sample ids.
        most: largest change, as a share.
        seed: of the run.
        epoch: draws differ from epoch to epoch.
    """
    drawn = shares(seed, Stream.JITTER, epoch, ids.numpy(), 4)
    factors = torch.from_numpy(1 + most * (2 * drawn[:, :3] - 1)).float()
    turns = (drawn[:, 3] * len(_ORDERS)).astype(np.int64)
    result = levels.clone()
    for turn, kinds in enumerate(_ORDERS):
        rows = torch.from_numpy(np.flatnonzero(turns == turn))
        part = levels[rows]
        for kind in kinds if len(rows) else ():
            part = blended(part, factors[rows, kind], kind)
        result[rows] = part
    return result


def blended(levels: Tensor, factors: Tensor, kind: int) -> Tensor:
    """Levels moved away from black (kind 0), their mean grey (1) or their own grey (2)."""
    if kind == 0:
        other: Tensor | float = 0.0
    else:
        grey = _grey(levels)
        other = grey.mean((1, 2, 3), keepdim=True) if kind == 1 else grey
    factor = factors.view(-1, 1, 1, 1)
    return (factor * levels + (1 - factor) * other).clamp(0, 255)


def _grey(levels: Tensor) -> Tensor:
    if levels.shape[1] == 1:
        return levels
    return (levels * torch.tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
