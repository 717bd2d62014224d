"""Crops, shifts and mirrors on whole batches, each a pure function of (seed, epoch, sample id)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convarium.data.counter import Stream, integers


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
        images: S at least the window's side. A shift may be longer: "reflect" then mirrors again.
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
    pixels, size = images.numpy(), images.shape[-1]
    sources = _sources(window, size)
    blank = np.zeros if reach and sources is None else np.empty
    views = blank((*pixels.shape[:2], side, side), pixels.dtype)
    # A copy a picture is several times as fast as one index of four arrays for all of them.
    for place, (top, left, flip) in enumerate(zip(tops, lefts, flips, strict=True)):
        view = views[place, :, :, ::-1] if flip else views[place]
        columns, inner = _overlap(left - reach, side, size)
        if sources is None:
            rows, seen = _overlap(top - reach, side, size)
            view[:, seen, inner] = pixels[place, :, rows, columns]
            continue
        band = pixels[place].take(sources[top : top + side], axis=1)
        view[:, :, inner] = band[:, :, columns]
        for edge in (slice(0, inner.start), slice(inner.stop, side)):
            if edge.start != edge.stop:
                view[:, :, edge] = band.take(sources[left : left + side][edge], axis=2)
    return torch.from_numpy(views)


def _sources(window: Window, size: int) -> NDArray[np.intp] | None:
    """The row, or column, of the picture that stands at each place of it with its border.

    None where nothing but zeros stands beyond the picture.
    """
    if window.shift_px == 0 or window.border == "zero":
        return None
    places = np.arange(-window.shift_px, size + window.shift_px)
    if window.border == "repeat":
        return places.clip(0, size - 1)
    period = max(2 * (size - 1), 1)  # there and back; the outermost pixels stand once
    return np.minimum(places % period, -places % period)


def _overlap(start: int, side: int, size: int) -> tuple[slice, slice]:
    """What of `start` to `start + side` lies in 0 to `size`: counted from 0, and from `start`."""
    first = min(max(start, 0), start + side)
    last = max(first, min(start + side, size))
    return slice(first, last), slice(first - start, last - start)
