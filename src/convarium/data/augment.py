"""Crops, shifts and mirrors on whole batches, each a pure function of (seed, epoch, sample id)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convarium.data.counter import Stream, integers

_PAD = {"repeat": "edge", "reflect": "reflect"}  # zeros need no padding


@dataclass(frozen=True, slots=True)
class Window:
    """What part of a picture is seen: `side` pixels, from any place where the picture is larger.

    It is shifted by up to `shift_px` each way. Beyond the picture stands what `border` says: its
    outermost pixels ("repeat"), zeros ("zero"), or the picture mirrored at them ("reflect").
    `mirror` flips left and right in half of the cases.
    """

    side: int
    shift_px: int = 0
    border: str = "repeat"
    mirror: bool = False


def centre_crop(images: Tensor, side: int) -> Tensor:
    """(N, C, S, S) -> (N, C, side, side), the middle of each picture; S at least `side`."""
    margin = (images.shape[-1] - side) // 2
    return images[..., margin : margin + side, margin : margin + side]


def windows(images: Tensor, ids: Tensor, window: Window, *, seed: int, epoch: int) -> Tensor:
    """A view of each picture: (N, C, S, S) of any type -> (N, C, side, side) of the same.

    Args:
        images: S at least the window's side; more than its shift where the border is "reflect".
        ids: (N,) int64 sample ids.
        window: how views are drawn.
        seed: of the run.
        epoch: draws differ from epoch to epoch.
    """
    numbers, side, reach = ids.numpy(), window.side, window.shift_px
    room, span = images.shape[-1] - side + 1, 2 * reach + 1

    def offsets(crop: Stream, shift: Stream) -> list[int]:
        """Places in the picture with its border."""
        places = integers(seed, crop, epoch, numbers, room)
        return (places + integers(seed, shift, epoch, numbers, span)).tolist()

    tops = offsets(Stream.CROP_TOP, Stream.SHIFT_DOWN)
    lefts = offsets(Stream.CROP_LEFT, Stream.SHIFT_RIGHT)
    flips = [False] * len(ids)
    if window.mirror:
        flips = (integers(seed, Stream.MIRROR, epoch, numbers, 2) == 1).tolist()
    pixels = images.numpy()
    if reach and window.border != "zero":
        pad = ((0, 0), (0, 0), (reach, reach), (reach, reach))
        pixels = np.pad(pixels, pad, mode=_PAD[window.border])  # type: ignore[call-overload]
        reach = 0  # places are now those in `pixels`
    size = pixels.shape[-1]
    views = (np.zeros if reach else np.empty)((*pixels.shape[:2], side, side), pixels.dtype)
    # A copy a picture is several times as fast as one index of four arrays for all of them.
    for place, (top, left, flip) in enumerate(zip(tops, lefts, flips, strict=True)):
        rows, above = _overlap(top - reach, side, size)
        columns, before = _overlap(left - reach, side, size)
        part = pixels[place, :, rows, columns]
        view = views[place, :, :, ::-1] if flip else views[place]
        view[:, above : above + part.shape[1], before : before + part.shape[2]] = part
    return torch.from_numpy(views)


def _overlap(start: int, side: int, size: int) -> tuple[slice, int]:
    """What of `start` to `start + side` lies in 0 to `size`, and how far in it begins."""
    first = max(start, 0)  # an end before it would count from the other side
    return slice(first, max(first, min(start + side, size))), first - start
