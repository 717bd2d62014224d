"""Rules of receptive fields one by one, against the reach of gradients at every phase of pixels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import convarium
from gradient_reach import SIDE, Behind, check


def resize(scale: float, mode: str) -> Callable[[Tensor], Tensor]:
    return lambda x: functional.interpolate(x, scale_factor=scale, mode=mode)


def sized(side: int, mode: str) -> Callable[[Tensor], Tensor]:
    return lambda x: functional.interpolate(x, size=(side, side), mode=mode)


MODES = ("nearest", "nearest-exact", "bilinear", "bicubic")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("times", [2, 3, 4])
def test_larger_by_a_whole_factor(mode: str, times: int) -> None:
    check(Behind(resize(times, mode)), times, 1 / times)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("times", [2, 3, 4])
def test_smaller_by_a_whole_factor(mode: str, times: int) -> None:
    check(Behind(sized(SIDE // times, mode)), 1, times)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("side", "phases"), [(32, 2), (72, 3)])
def test_a_factor_of_small_numbers(mode: str, side: int, phases: int) -> None:
    """Two pixels for three, and three for two."""
    check(Behind(sized(side, mode)), phases, SIDE / side)


def test_a_stride_behind_a_resize() -> None:
    check(Behind(resize(3, "bicubic"), stride=2), 3, 2 / 3)


def test_a_scale_that_the_sides_only_come_near_to() -> None:
    """floor(48 * 0.35) = 16 pixels, but torch steps by 1 / 0.35 pixels, not by 3."""
    cost = convarium.measure_cost(Behind(resize(0.35, "nearest")), (3, SIDE, SIDE))
    last = next(row for row in cost.rows if row.name == "last")
    assert last.output_shape[-1] == 16
    assert last.receptive_field is None


@pytest.mark.parametrize("narrow", [2, 4, 6])
def test_maps_become_pixels(narrow: int) -> None:
    check(Behind(nn.PixelShuffle(2), out=2, narrow=narrow), 2, 1 / 2)


def test_pixels_become_maps() -> None:
    check(Behind(nn.PixelUnshuffle(2), out=32), 1, 2)


def test_pixels_become_maps_and_pixels_again() -> None:
    check(Behind(nn.Sequential(nn.PixelUnshuffle(2), nn.PixelShuffle(2))), 2, 1)


OVER_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "roll": lambda x: x.roll(2, 1),
    "flip": lambda x: x.flip(-3)[:, 1:],
    "repeat": lambda x: x.repeat(1, 2, 1, 1)[:, 2:10],
    "softmax": lambda x: x.softmax(1),
    "softmax of groups": lambda x: x.roll(2, 1).unflatten(1, (2, 4)).softmax(2).flatten(1, 2),
    "log softmax": lambda x: x.log_softmax(1),
    "cumsum": lambda x: x.cumsum(1),
    "cumsum, the wide maps first": lambda x: x.flip(1).cumsum(1),
    "cumprod": lambda x: (x + 1).cumprod(1),
    "logcumsumexp": lambda x: x.logcumsumexp(-3),
    "glu": lambda x: functional.glu(x, 1),
    "glu, other halves": lambda x: functional.glu(x.roll(2, 1), 1),
    "norm": lambda x: functional.normalize(x + 1, dim=1),
    "logsumexp": lambda x: x.logsumexp(1, keepdim=True),
    "deviation": lambda x: x.var(1, keepdim=True),
    "product": lambda x: (x + 1).prod(1, keepdim=True),
    "maps cut off": lambda x: functional.pad(x, (0, 0, 0, 0, -1, 0)),
}


@pytest.mark.parametrize("name", OVER_MAPS)
def test_over_maps(name: str) -> None:
    rule = OVER_MAPS[name]
    check(Behind(rule, out=rule(torch.rand(1, 8, 2, 2)).shape[1]), 1, 1)


PICKED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "index_select": lambda x, at: x.index_select(1, at),
    "index": lambda x, at: x[:, at],
    "gather": lambda x, at: x.gather(1, at.view(1, -1, 1, 1).expand(1, 3, *x.shape[2:])),
    "topk": lambda x, at: x.topk(len(at), 1)[0],
    "sort": lambda x, at: x.sort(1)[0][:, at],
}


@pytest.mark.parametrize("name", PICKED)
def test_maps_picked_by_values_see_what_any_of_them_may(name: str) -> None:
    """1 or 5 pixels before the 3x3 a map, which adds 2."""

    def rule(x: Tensor) -> Tensor:
        return PICKED[name](x, torch.arange(3, device=x.device))

    cost = convarium.measure_cost(Behind(rule, out=3), (3, SIDE, SIDE))
    last = next(row for row in cost.rows if row.name == "last")
    assert (last.receptive_field, last.rf_stride) == (5 + 2, 1)


def test_the_picture_picks_its_maps() -> None:
    """The places of the largest of all see what all see, though only narrow maps are taken."""

    def rule(x: Tensor) -> Tensor:
        return x[:, :4].gather(1, x[:, 4:].argmax(1, keepdim=True))

    cost = convarium.measure_cost(Behind(rule, out=1), (3, SIDE, SIDE))
    last = next(row for row in cost.rows if row.name == "last")
    assert last.receptive_field == 5 + 2


EVERYWHERE: dict[str, Callable[[Tensor], Tensor]] = {
    "log softmax over columns": lambda x: x.log_softmax(-1),
    "product so far, over rows": lambda x: (x + 1).cumprod(2),
    "rows picked": lambda x: x[:, :, torch.arange(SIDE - 1, -1, -1, device=x.device)],
    "pixels looked up": lambda x: functional.grid_sample(
        x, torch.zeros(1, SIDE, SIDE, 2, device=x.device, dtype=x.dtype), align_corners=False
    ),
    "frequencies": lambda x: torch.fft.fft2(x).abs(),
    "attention of rows": lambda x: functional.scaled_dot_product_attention(x, x, x),
    "corners aligned": lambda x: functional.interpolate(
        x, scale_factor=2, mode="bicubic", align_corners=True
    ),
}


@pytest.mark.parametrize("name", EVERYWHERE)
def test_what_mixes_rows_and_columns_sees_everything(name: str) -> None:
    cost = convarium.measure_cost(Behind(EVERYWHERE[name]), (3, SIDE, SIDE))
    last = next(row for row in cost.rows if row.name == "last")
    assert last.receptive_field is None
