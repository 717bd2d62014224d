"""Windows of any size, resized: the random resized crop, and scale jitter.

Pictures on disk are cut from the whole file; those in memory from what was decoded of them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from convarium.data.counter import Stream, shares
from convarium.data.model import OnDisk, Split
from convarium.data.pictures import decode_whole, strict_pillow
from convarium.recipes import Recipe

ATTEMPTS = 10  # at a window within the picture, before its middle is taken
Draws = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def boxed(split: Split, ids: Tensor, recipe: Recipe, side: int, *, seed: int, epoch: int) -> Tensor:
    """(N, C, side, side) uint8: a window of each picture as the recipe draws it, resized.

    Raises:
        BadPicturesError: a file that cannot be decoded.
    """
    draws = shares(seed, Stream.BOX, epoch, ids.numpy(), 4 * ATTEMPTS + 3)

    def view(place: int) -> npt.NDArray[np.uint8]:
        picture = _picture(split, int(ids[place]))
        box = _box(picture.size, draws[place], recipe, side)
        small = picture.resize((side, side), Image.Resampling.BILINEAR, box=box)
        pixels = np.asarray(small, dtype=np.uint8)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)

    with strict_pillow(), ThreadPoolExecutor(4) as pool:
        return torch.from_numpy(np.stack(list(pool.map(view, range(len(ids))))))


def _picture(split: Split, index: int) -> Image.Image:
    store = split.store
    if not isinstance(store, OnDisk):
        return split.picture(index)
    whole = decode_whole(store.paths[int(split.rows[index])])
    return whole.convert("L") if store.channels == 1 else whole


def _box(size: tuple[int, int], draws: Draws, recipe: Recipe, side: int) -> Box:
    if recipe.area is not None:
        return resized_crop(size, draws, recipe.area, recipe.aspect)
    assert recipe.short_side is not None
    return scaled_crop(size, draws, recipe.short_side, side, at_random=recipe.crop)


def resized_crop(
    size: tuple[int, int], draws: Draws, area: tuple[float, float], aspect: tuple[float, float]
) -> Box:
    """A window of a share of the picture in `area`, and of a width by height in `aspect`.

    The area is evenly spread, the logarithm of the aspect too. Where ten windows in a row do not
    fit, it is the middle, as large as the aspects allow.

    Source:
        GoogLeNet, section 6: 8 % to 100 %, 3/4 to 4/3.
    """
    width, height = size
    for attempt in draws[: 4 * ATTEMPTS].reshape(-1, 4):
        pixels = width * height * (area[0] + attempt[0] * (area[1] - area[0]))
        ratio = exp(log(aspect[0]) + attempt[1] * (log(aspect[1]) - log(aspect[0])))
        w, h = round(sqrt(pixels * ratio)), round(sqrt(pixels / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(attempt[2] * (width - w + 1)), int(attempt[3] * (height - h + 1))
            return left, top, left + w, top + h
    ratio = min(max(width / height, aspect[0]), aspect[1])
    w, h = min(width, height * ratio), min(height, width / ratio)
    return (width - w) / 2, (height - h) / 2, (width + w) / 2, (height + h) / 2


def scaled_crop(
    size: tuple[int, int],
    draws: Draws,
    short_side: tuple[float, float],
    side: int,
    *,
    at_random: bool,
) -> Box:
    """The window of `side` pixels of the picture scaled so that its short side is one at random.

    Source:
        VGG, section 3.1: the short side in 256 to 512.
    """
    low, high = short_side
    scaled = max(side, int(low + draws[-3] * (high - low + 1)))
    factor = min(size) / scaled  # pixels of the picture a pixel of the view
    across, down = (draws[-2], draws[-1]) if at_random else (0.5, 0.5)
    rooms = [round(length / factor) - side for length in size]
    if at_random:
        left, top = (int(s * (room + 1)) for s, room in zip((across, down), rooms, strict=True))
    else:
        left, top = (room // 2 for room in rooms)
    width, height = size
    edges = (left * factor, top * factor, (left + side) * factor, (top + side) * factor)
    return edges[0], edges[1], min(edges[2], width), min(edges[3], height)
