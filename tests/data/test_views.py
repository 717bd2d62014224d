"""Views against independent computations: NumPy's pads, torchvision's colours, Pillow's boxes."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as theirs

from convarium.data import normalised, training_views
from convarium.data.augment import Window, windows
from convarium.data.boxes import resized_crop, scaled_crop
from convarium.data.colour import blended, colour_axes, jittered, pca_noise
from convarium.data.counter import Stream, integers, normals, shares
from convarium.data.model import OnDisk
from data.view_data import dataset, pictures, recipe

HOW = {"seed": 3, "epoch": 1}
EVERYTHING = {
    "shift_px": 2,
    "border": "reflect",
    "mirror": True,
    "crop": True,
    "pca_sigma": 0.1,
    "jitter": 0.4,
}
RECIPES = {
    "shift and mirror": recipe(shift_px=4, border="zero", mirror=True),
    "everything": recipe(**EVERYTHING),
    "resized crop": recipe(area=(0.08, 1.0), mirror=True, jitter=0.4),
    "scale jitter": recipe(short_side=(20, 30), crop=True, mirror=True),
}


@pytest.mark.parametrize(
    ("border", "mode"), [("repeat", "edge"), ("zero", "constant"), ("reflect", "reflect")]
)
def test_what_stands_beyond_the_border(border, mode) -> None:
    images, ids = pictures(40, 9).float(), torch.arange(40)
    views = windows(images, ids, Window(9, 3, border), **HOW)
    down = integers(3, Stream.SHIFT_DOWN, 1, ids.numpy(), 7)
    right = integers(3, Stream.SHIFT_RIGHT, 1, ids.numpy(), 7)
    for image, view, y, x in zip(images.numpy(), views.numpy(), down, right, strict=True):
        padded = np.pad(image, ((0, 0), (3, 3), (3, 3)), mode=mode)
        assert np.array_equal(view, padded[:, y : y + 9, x : x + 9])


@pytest.mark.parametrize("name", RECIPES)
def test_a_view_does_not_depend_on_its_batch(name) -> None:
    """The same in another order, in another batch, or in another process's share of it."""
    views = training_views(dataset(pictures(24, 24), 16), RECIPES[name])
    together = views(torch.arange(24), seed=5, epoch=2)
    some = torch.tensor([13, 2, 7])
    assert torch.equal(views(some, seed=5, epoch=2), together[some])
    for world in (2, 4):
        for rank in range(world):
            mine = torch.arange(24)[rank::world]
            assert torch.equal(views(mine, seed=5, epoch=2), together[mine])


@pytest.mark.parametrize("name", RECIPES)
def test_another_epoch_and_another_seed_draw_anew(name) -> None:
    views = training_views(dataset(pictures(8, 24), 16), RECIPES[name])
    first, ids = views(torch.arange(8), seed=5, epoch=2), torch.arange(8)
    assert first.shape == (8, 3, 16, 16)
    assert first.dtype == torch.float32
    for other in (views(ids, seed=5, epoch=3), views(ids, seed=6, epoch=2)):
        assert int((other != first).flatten(1).any(1).sum()) >= 7  # one may fall on the same view


def test_a_zero_border_is_zero_after_the_normalisation() -> None:
    how = recipe(shift_px=4, border="zero", normalise="pixel mean")
    data = normalised(dataset(pictures(50, 8)), how)
    views = training_views(data, how)(torch.arange(50), **HOW)
    down = integers(3, Stream.SHIFT_DOWN, 1, np.arange(50), 9) - 4
    for view, dy in zip(views, down.tolist(), strict=True):
        beyond = view[:, : max(0, -dy)] if dy < 0 else view[:, 8 - dy :]
        assert not beyond.any()
    inside = views[np.flatnonzero(down == 0)]
    assert float(inside.abs().max()) > 50  # and it is no picture of zeros


def test_crop_places_are_evenly_spread() -> None:
    """Chi-square over the 81 places of a 4-pixel shift, at a seed that is fixed."""
    ids = np.arange(81 * 200)
    places = integers(0, Stream.SHIFT_DOWN, 1, ids, 9) * 9
    places += integers(0, Stream.SHIFT_RIGHT, 1, ids, 9)
    counts = np.bincount(places, minlength=81)
    chi_square = float(((counts - 200) ** 2 / 200).sum())
    assert 43 < chi_square < 129  # 80 degrees of freedom: the middle 99.9 %


def test_half_are_mirrored() -> None:
    flips = integers(0, Stream.MIRROR, 1, np.arange(10_000), 2).sum()
    assert abs(int(flips) - 5000) < 3.3 * 50  # deviation sqrt(10,000 / 4)


def test_shares_are_evenly_spread_and_normals_normal() -> None:
    even = shares(0, Stream.BOX, 1, np.arange(4000), 5)
    assert abs(even.mean() - 0.5) < 4 * np.sqrt(1 / 12 / even.size)
    assert np.all(np.abs(np.histogram(even, 10, (0, 1))[0] - 2000) < 4 * np.sqrt(2000 * 0.9))
    drawn = normals(0, Stream.PCA, 1, np.arange(20_000), 3)
    assert np.abs(drawn.mean(0)).max() < 4 / np.sqrt(20_000)
    assert np.abs(drawn.std(0) - 1).max() < 4 / np.sqrt(40_000)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 4 / np.sqrt(20_000)
    assert abs((np.abs(drawn) < 1.96).mean() - 0.95) < 0.005


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (0, theirs.adjust_brightness),
        (1, theirs.adjust_contrast),
        (2, theirs.adjust_saturation),
    ],
)
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
@pytest.mark.parametrize("channels", [1, 3])
def test_colour_changes_are_torchvisions(kind, change, factor, channels) -> None:
    levels = pictures(3, 9, channels).float()
    ours = blended(levels, torch.full((3,), factor), kind) / 255
    # Shares of 255 in float32: a few units in the last place.
    assert torch.allclose(ours, change(levels / 255, factor), atol=2e-6)


def test_jitter_applies_all_three_in_an_order_of_its_own() -> None:
    levels, ids = pictures(60, 6).float(), torch.arange(60)
    views = jittered(levels, ids, 0.4, **HOW)
    drawn = shares(3, Stream.JITTER, 1, ids.numpy(), 4)
    changes = (theirs.adjust_brightness, theirs.adjust_contrast, theirs.adjust_saturation)
    orders = list(permutations(range(3)))
    for image, view, d in zip(levels, views, drawn, strict=True):
        wanted = image / 255
        for kind in orders[int(6 * d[3])]:
            wanted = changes[kind](wanted, 0.6 + 0.8 * d[kind])
        assert torch.allclose(view / 255, wanted, atol=1e-5)


def test_colour_axes_are_those_of_the_covariance() -> None:
    pixels = pictures(30, 8)
    pixels[:, 1] = pixels[:, 0] // 2 + pixels[:, 1] // 4  # correlated
    axes = colour_axes(dataset(pixels).train).double()
    rows = pixels.numpy().transpose(1, 0, 2, 3).reshape(3, -1) / 255
    covariance = np.cov(rows, bias=True)
    lengths = axes.norm(dim=0)
    directions = axes / lengths
    rebuilt = (directions * lengths) @ directions.T
    assert np.allclose(rebuilt.numpy(), covariance, atol=1e-6)


def test_colour_noise_is_one_colour_a_picture() -> None:
    levels, ids = pictures(2000, 2).float(), torch.arange(2000)
    axes = torch.tensor([[0.2, 0.0, 0.0], [0.0, 0.02, 0.0], [0.0, 0.0, 0.004]])
    noise = pca_noise(levels, ids, axes, 0.1, **HOW) - levels
    assert torch.allclose(noise, noise[:, :, :1, :1].expand_as(noise), atol=1e-4)
    spread = noise[:, :, 0, 0].std(0) / 255
    # The deviation of a deviation is 1 / sqrt(2 n) of it.
    assert torch.allclose(spread, 0.1 * axes.diagonal(), rtol=4 / np.sqrt(4000))


def test_resized_crops_keep_to_area_and_aspect() -> None:
    draws = shares(1, Stream.BOX, 1, np.arange(2000), 43)
    boxes = np.array([resized_crop((300, 200), row, (0.08, 1.0), (3 / 4, 4 / 3)) for row in draws])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= 300
    assert boxes[:, 3].max() <= 200
    share = width * height / 60_000
    assert share.min() > 0.075  # whole pixels: somewhat below 0.08
    assert 0.5 < share.max() <= 0.9  # 4/3 of a side of 200 is 267 of 300 wide
    assert np.all((width / height > 0.73) & (width / height < 1.36))


def test_a_resized_crop_that_never_fits_takes_the_middle() -> None:
    box = resized_crop((1000, 10), np.full(43, 0.9999), (1.0, 1.0), (3 / 4, 4 / 3))
    assert np.allclose(box, (500 - 20 / 3, 0, 500 + 20 / 3, 10))  # 4/3 as wide as high


def test_scale_jitter_spreads_the_short_side() -> None:
    draws = shares(1, Stream.BOX, 1, np.arange(3000), 43)
    boxes = np.array(
        [scaled_crop((640, 480), row, (256, 512), 224, at_random=True) for row in draws]
    )
    scaled = 480 * 224 / (boxes[:, 3] - boxes[:, 1])  # short side at which the window is 224
    assert set(np.unique(scaled.round())) == set(range(256, 513))
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= 640 + 1e-9
    assert boxes[:, 3].max() <= 480 + 1e-9


def test_a_resized_view_is_pillows_box_of_the_whole_file(tmp_path) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    Image.fromarray(drawn).save(tmp_path / "a.png")
    data = dataset(pictures(1, 24))
    store = OnDisk((tmp_path / "a.png",), 24, 3)
    data = replace(data, train=replace(data.train, store=store))
    view = training_views(data, recipe(area=(0.2, 1.0)))(torch.tensor([0]), **HOW)[0]
    row = shares(3, Stream.BOX, 1, np.array([0]), 43)[0]
    box = resized_crop((140, 90), row, (0.2, 1.0), (3 / 4, 4 / 3))
    cut = Image.fromarray(drawn).resize((24, 24), Image.Resampling.BILINEAR, box=box)
    assert np.array_equal(view.numpy(), np.asarray(cut).transpose(2, 0, 1).astype(np.float32))


def test_views_of_a_part_of_the_split() -> None:
    data = dataset(pictures(20, 8))
    part = data.train.subset([4, 9, 11])
    views = training_views(data, recipe(), part)
    assert torch.equal(views(torch.tensor([2, 0]), **HOW), data.train.images([11, 4]).float())
