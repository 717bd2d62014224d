"""Crops, shifts and mirrors on whole batches, each a pure function of (seed, epoch, sample id)."""

from __future__ import annotations

import torch
from torch import Tensor

from convarium.data.counter import Stream, integers


def centre_crop(images: Tensor, side: int) -> Tensor:
    """(N, C, S, S) -> (N, C, side, side), the middle of each picture; S at least `side`."""
    margin = (images.shape[-1] - side) // 2
    return images[..., margin : margin + side, margin : margin + side]


def augment(
    images: Tensor,
    ids: Tensor,
    *,
    side: int,
    shift_px: int,
    mirror: bool,
    seed: int,
    epoch: int,
) -> Tensor:
    """A training view of each picture: a crop at random, shifted at random, maybe mirrored.

    Args:
        images: (N, C, S, S) uint8; where S is larger than `side`, the crop is drawn from all
            places, else it is the whole picture.
        ids: (N,) int64 sample ids.
        side: of the result in pixels, at most S.
        shift_px: farthest shift in pixels each way; the border's pixels are repeated.
        mirror: flip left and right in half of the cases.
        seed: of the run.
        epoch: draws differ from epoch to epoch.

    Returns:
        (N, C, side, side) uint8.
    """
    numbers = ids.numpy()
    room = images.shape[-1] - side + 1
    span = 2 * shift_px + 1

    def offset(crop: Stream, shift: Stream) -> Tensor:
        places = integers(seed, crop, epoch, numbers, room)
        return torch.from_numpy(places + integers(seed, shift, epoch, numbers, span) - shift_px)

    top = offset(Stream.CROP_TOP, Stream.SHIFT_DOWN)
    left = offset(Stream.CROP_LEFT, Stream.SHIFT_RIGHT)
    flips = torch.zeros(len(ids), dtype=torch.bool)
    if mirror:
        flips = torch.from_numpy(integers(seed, Stream.MIRROR, epoch, numbers, 2)) == 1
    return _windows(images, top, left, side, flips)


def _windows(images: Tensor, top: Tensor, left: Tensor, side: int, flips: Tensor) -> Tensor:
    """A side x side window of each picture; beyond the border the border is repeated."""
    steps = torch.arange(side)
    last = images.shape[-1] - 1
    rows = (top[:, None] + steps).clamp_(0, last)  # (N, side)
    columns = (left[:, None] + steps).clamp_(0, last)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    batch = torch.arange(len(images))[:, None, None, None]
    maps = torch.arange(images.shape[1])[None, :, None, None]
    return images[batch, maps, rows[:, None, :, None], columns[:, None, None, :]]
