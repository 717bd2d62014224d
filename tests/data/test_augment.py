"""Crops, shifts and mirrors against slow slices of NumPy."""

from __future__ import annotations

import numpy as np
import torch

from convarium.data import centre_crop
from convarium.data.augment import Window, windows
from convarium.data.counter import Stream, integers


def _pictures(n: int, side: int, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, channels, side, side), generator=generator).to(torch.uint8)


def test_centre_crop_takes_the_middle() -> None:
    images = _pictures(2, 8)
    assert torch.equal(centre_crop(images, 4), images[:, :, 2:6, 2:6])


def test_a_shift_repeats_the_border() -> None:
    images, ids = _pictures(50, 8, 3), torch.arange(50)
    views = windows(images, ids, Window(8, shift_px=2), seed=3, epoch=1)
    down = integers(3, Stream.SHIFT_DOWN, 1, ids.numpy(), 5) - 2
    right = integers(3, Stream.SHIFT_RIGHT, 1, ids.numpy(), 5) - 2
    assert set(down.tolist()) == {-2, -1, 0, 1, 2}
    for image, view, dy, dx in zip(images.numpy(), views.numpy(), down, right, strict=True):
        padded = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="edge")
        assert (view == padded[:, 2 + dy : 10 + dy, 2 + dx : 10 + dx]).all()


def test_a_shift_beyond_the_picture_leaves_zeros() -> None:
    images, ids, reach = _pictures(60, 8), torch.arange(60), 20
    views = windows(images, ids, Window(8, reach, "zero"), seed=3, epoch=1)
    down = integers(3, Stream.SHIFT_DOWN, 1, ids.numpy(), 2 * reach + 1)
    right = integers(3, Stream.SHIFT_RIGHT, 1, ids.numpy(), 2 * reach + 1)
    assert down.min() < reach - 8 < reach + 8 < down.max()
    for image, view, y, x in zip(images.numpy(), views.numpy(), down, right, strict=True):
        padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)))
        assert (view == padded[:, y : y + 8, x : x + 8]).all()


def test_a_crop_lies_within_the_picture() -> None:
    images, ids = _pictures(200, 10), torch.arange(200)
    views = windows(images, ids, Window(8), seed=0, epoch=1)
    places = set()
    for image, view in zip(images[:, 0], views[:, 0], strict=True):
        found = [
            (top, left)
            for top in range(3)
            for left in range(3)
            if torch.equal(image[top : top + 8, left : left + 8], view)
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) == 9  # every place is drawn


def test_half_of_the_pictures_are_mirrored() -> None:
    images, ids = _pictures(1000, 4), torch.arange(1000)
    views = windows(images, ids, Window(4, mirror=True), seed=0, epoch=1)
    plain = (views == images).all(3).all(2).all(1)
    flipped = (views == images.flip(3)).all(3).all(2).all(1)
    assert bool((plain ^ flipped).all())
    assert abs(int(flipped.sum()) - 500) < 5 * 16  # deviation sqrt(1000 / 4) = 15.8


def test_a_view_does_not_depend_on_its_batch() -> None:
    images, ids = _pictures(20, 8), torch.arange(20)
    window, when = Window(6, shift_px=1, mirror=True), {"seed": 5, "epoch": 2}
    together = windows(images, ids, window, **when)
    some = torch.tensor([13, 2, 7])
    assert torch.equal(windows(images[some], ids[some], window, **when), together[some])
