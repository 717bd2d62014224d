"""Receptive fields of tensors that are written in place, and of operators that no rule knows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import convarium
from gradient_reach import SIDE, Behind, check


def swapped_into_zeros(x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    out[:, :4], out[:, 4:] = x[:, 4:], x[:, :4]
    return out + x.flip(1)


def every_second(x: Tensor) -> Tensor:
    out = x.new_empty(1, 16, *x.shape[2:])
    out[:, ::2], out[:, 1::2] = x, x.roll(3, 1)
    return out


def added_to_some(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, 1:3] += x[:, 6:]
    return x[:, :4]


def through_a_grid_of_maps(x: Tensor) -> Tensor:
    x = x.clone()
    x.view(1, 2, 4, *x.shape[2:]).transpose(1, 2)[:, 1, 0].mul_(x[:, 7].clone())
    return x[:, :4]


def one_behind_another(x: Tensor) -> Tensor:
    x = x.flip(1)
    for at in range(1, 6):
        x[:, at] += x[:, at + 2]
    return x


def seen_through_a_view(x: Tensor) -> Tensor:
    some = x[:, :4]
    x += x.flip(1)
    return some


def unknown_before_all_is_written(x: Tensor) -> Tensor:
    out = x.flip(2)
    out[:] = x.roll(3, 1)
    return out


def some_blanked(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, 5:] = 0
    return x[:, 2:5] + x[:, 5:]


def shifted(x: Tensor) -> Tensor:
    """A pixel to the four sides, two maps each, as in S2-MLP."""
    out = torch.zeros_like(x)
    out[:, :2, 1:], out[:, 2:4, :-1] = x[:, :2, :-1], x[:, 2:4, 1:]
    out[:, 4:6, :, 1:], out[:, 6:, :, :-1] = x[:, 4:6, :, :-1], x[:, 6:, :, 1:]
    return out


def border_blanked(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, :, 0] = 0
    x[..., -2:] = x.mean()
    return x


WRITTEN: dict[str, Callable[[Tensor], Tensor]] = {
    function.__name__: function
    for function in (
        swapped_into_zeros,
        every_second,
        added_to_some,
        through_a_grid_of_maps,
        one_behind_another,
        seen_through_a_view,
        unknown_before_all_is_written,
        some_blanked,
        shifted,
        border_blanked,
    )
}
# Torch pads all around by writes into a larger map.
WRITTEN["circular"] = lambda x: functional.pad(x, (1, 2, 3, 0), mode="circular")
WRITTEN["windows over maps"] = lambda x: functional.avg_pool3d(x[:, None], 3, (1, 1, 1), 1)[:, 0]
WRITTEN["every second map"] = lambda x: functional.avg_pool3d(x[:, None], (2, 1, 1))[:, 0]
WRITTEN["local response norm"] = nn.LocalResponseNorm(3)


@pytest.mark.parametrize("narrow", [3, 4, 6])
@pytest.mark.parametrize("name", WRITTEN)
def test_written_in_place(name: str, narrow: int) -> None:
    rule = WRITTEN[name]
    maps = rule(torch.rand(1, 8, SIDE, SIDE)).shape[1]
    check(Behind(rule, out=maps, narrow=narrow), 1, 1)


def behind(rule: Callable[[Tensor], Tensor], *, out: int = 8) -> int | None:
    """The field that is told behind a rule and 3x3."""
    cost = convarium.measure_cost(Behind(rule, out=out), (3, SIDE, SIDE))
    return next(row for row in cost.rows if row.name == "last").receptive_field


@torch.library.custom_op("convarium_tests::blurred", mutates_args=())
def blurred(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, 1, 1)


@blurred.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("convarium_tests::blur", mutates_args=("x",))
def blur(x: Tensor) -> None:
    x.copy_(functional.avg_pool2d(x, 3, 1, 1))


def blurred_in_place(x: Tensor) -> Tensor:
    x = x.clone()
    blur(x)
    return x


def half_of_the_rows(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, :, : SIDE // 2] = functional.avg_pool2d(x, 3, 1, 1)[:, :, : SIDE // 2]
    return x


def every_second_pixel(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, :, ::2] = functional.avg_pool2d(x, 3, 1, 1)[:, :, ::2]
    return x


def rows_added(x: Tensor) -> Tensor:
    return x.index_add(2, torch.arange(SIDE - 1, -1, -1, device=x.device), x)


def deformed(x: Tensor) -> Tensor:
    from torchvision.ops import deform_conv2d

    far = x.new_full((1, 2, SIDE, SIDE), 9.0)
    return deform_conv2d(x, far, x.new_ones(8, 8, 1, 1))


UNTOLD: dict[str, Callable[[Tensor], Tensor]] = {
    "an operator of one's own": blurred,
    "an operator of one's own that writes": blurred_in_place,
    "half of the rows": half_of_the_rows,
    "every second row": every_second_pixel,
    "rows added to others": rows_added,
    "turned": lambda x: torch.rot90(x, 2, (2, 3)),
    "deformable convolution": deformed,
    "frequencies of a line": lambda x: torch.fft.fft(x).abs(),
    "places told by a tensor": lambda x: x.scatter(1, x[:, :2].long() * 0, x[:, 6:]),
    "volume": lambda x: functional.conv3d(x[:, None], x.new_ones(1, 1, 1, 3, 3), padding=(0, 1, 1))[
        :, 0
    ],
}


@pytest.mark.parametrize("name", UNTOLD)
def test_no_number_where_nobody_can_tell(name: str) -> None:
    """These keep the size of the map and move its pixels: the old field would be a wrong one."""
    assert behind(lambda x: x) == 5 + 2
    assert behind(UNTOLD[name]) is None


def test_products_over_maps_mix_them() -> None:
    """Each of the three maps of a cross product comes from all but its own two."""
    found = behind(lambda x: torch.linalg.cross(x[:, :3], x[:, 3:6], dim=1), out=3)
    assert found is None


ACTIVATIONS = (
    "ELU GELU Hardswish LogSigmoid Mish PReLU ReLU6 RReLU SELU Softplus Tanhshrink".split()
)


@pytest.mark.parametrize("kind", [*ACTIVATIONS, "BatchNorm2d", "GroupNorm", "InstanceNorm2d"])
def test_a_layer_that_moves_nothing(kind: str) -> None:
    arguments = {"BatchNorm2d": (8,), "GroupNorm": (2, 8), "InstanceNorm2d": (8,)}
    layer = getattr(nn, kind)(*arguments.get(kind, ()))
    assert behind(layer) == 5 + 2
