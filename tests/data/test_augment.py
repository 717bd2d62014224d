"""Crops, shifts and mirrors against slow slices of NumPy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F

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


@pytest.mark.parametrize("reach", [0, 1, 4, 8, 9, 10, 37, 1024])
@pytest.mark.parametrize(
    ("border", "mode"), [("repeat", "replicate"), ("zero", "constant"), ("reflect", "reflect")]
)
def test_the_bits_are_those_of_a_padded_picture(border: str, mode: str, reach: int) -> None:
    side, ids = 8, torch.arange(60)
    images = _pictures(60, 10, 3).float() / 255
    window = Window(side, reach, border, mirror=True)
    views = windows(images, ids, window, seed=4, epoch=2)

    def drawn(stream: Stream, span: int) -> torch.Tensor:
        return torch.from_numpy(integers(4, stream, 2, ids.numpy(), span))

    tops = drawn(Stream.CROP_TOP, 3) + drawn(Stream.SHIFT_DOWN, 2 * reach + 1)
    lefts = drawn(Stream.CROP_LEFT, 3) + drawn(Stream.SHIFT_RIGHT, 2 * reach + 1)
    flips = drawn(Stream.MIRROR, 2) == 1
    for place in range(len(ids)):
        padded = _padded(images[place], reach, mode)
        view = padded[:, tops[place] :, lefts[place] :][:, :side, :side]
        assert torch.equal(views[place], view.flip(2) if flips[place] else view)


def _padded(image: torch.Tensor, reach: int, mode: str) -> torch.Tensor:
    """By torch, which mirrors a picture of S pixels by S - 1 at most: so as often as it takes."""
    while mode == "reflect" and reach > image.shape[-1] - 1:
        step = image.shape[-1] - 1
        image, reach = F.pad(image, (step,) * 4, mode), reach - step
    return F.pad(image, (reach,) * 4, mode)


def test_one_pixel_reflected_is_itself() -> None:
    image = torch.full((1, 1, 1, 1), 7)
    for epoch in range(9):
        view = windows(image, torch.tensor([0]), Window(1, 3, "reflect"), seed=0, epoch=epoch)
        assert torch.equal(view, image)


def test_a_long_shift_takes_no_more_memory() -> None:
    images, ids = torch.zeros(4, 3, 32, 32), torch.arange(4)

    def peak(border: str, reach: int) -> int:
        """Bytes; NumPy tells tracemalloc of its arrays."""
        tracemalloc.start()
        try:
            windows(images, ids, Window(32, reach, border), seed=0, epoch=1)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    for border in ("repeat", "zero", "reflect"):
        # Padded whole they would be 4 * 3 * (32 + 2 * 1024)^2 * 4 bytes = 208 MB.
        assert peak(border, 1024) < peak(border, 4) + 500_000


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
