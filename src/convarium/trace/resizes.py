"""Receptive fields behind resizes, and behind shuffles between maps and pixels.

Sources: torch's rule of pixel centres (align_corners=False) and its cubic filter of four taps; Shi
et al. 2016, "Real-time single image and video super-resolution using an efficient sub-pixel
convolutional neural network", for the pixel shuffle.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from convarium.trace.boxes import WHOLE, Box, Field, Given, Ids, Shape
from convarium.trace.reach import Reach, interleaved

if TYPE_CHECKING:
    from fractions import Fraction

Taps = Callable[["Fraction", int], list[int]]

_FINEST = 1000  # a scale comes as a float: 0.3333333333333333 is 1/3
_NEAR = 1e-9
_PHASES = 8  # at most, of a factor that is not whole, such as 3/2


def _nearest(step: Fraction, index: int) -> list[int]:
    return [index * step.numerator // step.denominator]


def _nearest_exact(step: Fraction, index: int) -> list[int]:
    return [(2 * index + 1) * step.numerator // (2 * step.denominator)]


def _between(step: Fraction, index: int, *, taps: int) -> list[int]:
    """The pixels around a place between pixel centres; one alone where the place is its centre."""
    twice = 2 * step.denominator
    before, rest = divmod((2 * index + 1) * step.numerator - step.denominator, twice)
    return list(range(before + 1 - taps // 2, before + 1 + taps // 2)) if rest else [before]


def _resize(args: tuple[Any, ...], given: Given, shape: Shape, *, taps: Taps) -> Field:
    return _resized(given, shape, args[2:], taps)


def _resize_smooth(args: tuple[Any, ...], given: Given, shape: Shape, *, taps: int) -> Field:
    field, was = given[0]
    if args[2] is True:  # corners aligned: nothing moves, or the step is no simple fraction
        return field if field is not None and shape[-2:] == was[-2:] else WHOLE
    return _resized(given, shape, args[3:], partial(_between, taps=taps))


def _resized(given: Given, shape: Shape, scales: tuple[Any, ...], taps: Taps) -> Field:
    field, was = given[0]
    told = scales[0] if scales and isinstance(scales[0], (list, tuple)) else scales
    sides = zip(was[-2:], shape[-2:], (*(told or ()), None, None)[:2], strict=True)
    steps = [_step(before, after, scale) for before, after, scale in sides]
    if field is None or not all(steps):
        return WHOLE

    def change(reach: Reach, axis: int) -> Reach:
        step = steps[axis]
        return reach if step is None else reach.resized(step, partial(taps, step))

    return field.each(change)


def _step(before: int, after: int, scale: float | None) -> Fraction | None:
    """Input pixels from one output pixel to the next; None where they have too many phases.

    As torch takes it: of the scale where one was asked for, which the sides only come near to.
    """
    from fractions import Fraction  # of no use to a network without a resize

    step = Fraction(before, after)
    if scale:
        step = Fraction(1 / scale).limit_denominator(_FINEST)
        if abs(step * scale - 1) > _NEAR:
            return None
    small, large = sorted((step.numerator, step.denominator))
    return step if small == 1 or large <= _PHASES else None


def _to_pixels(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """(C * r * r, H, W) to (C, H * r, W * r): maps become the phases of a pixel."""
    field, was = given[0]
    times: int = args[1]
    if field is None:
        return WHOLE
    if field.ids is None:
        return field.each(lambda reach, _: interleaved([reach] * times) or reach)
    groups = field.spread(was[:-2]).reshape(-1, times * times)

    def merge(row: Ids) -> Box | tuple[()] | None:
        if (row < 0).any():
            return None if (row < 0).all() else ()
        grid = [[field.boxes[at] for at in line] for line in row.reshape(times, times)]
        rows = _phases([[box[0] for box in line] for line in grid])
        columns = _phases([[line[at][1] for line in grid] for at in range(times)])
        return (rows, columns) if rows and columns else ()

    return field.merged(groups, shape[:-2], merge)


def _phases(lines: list[list[Reach]]) -> Reach | None:
    """One phase a line, of what its maps see along this axis; None where no map sees it all."""
    parts = []
    for line in lines:
        around: Reach | None = line[0]
        for reach in line[1:]:
            around = around and around.joined(reach)
        if around is None or around not in line:
            return None
        parts.append(around)
    return interleaved(parts)


def _to_maps(args: tuple[Any, ...], given: Given, shape: Shape) -> Field:
    """(C, H * r, W * r) to (C * r * r, H, W): each phase of a pixel becomes a map."""
    field, was = given[0]
    times: int = args[1]
    if field is None:
        return WHOLE
    phases = [divmod(at, times) for at in range(times * times)]
    boxes = tuple(
        (rows.window(1, times, pad=-down), columns.window(1, times, pad=-right))
        for rows, columns in field.boxes
        for down, right in phases
    )
    old = field.spread(was[:-2])[..., None]
    ids = np.where(old < 0, old, old * len(phases) + np.arange(len(phases)))
    return Field(boxes, ids).arranged(lambda ids: ids.reshape(shape[:-2]))


RULES: dict[str, Callable[[tuple[Any, ...], Given, Shape], Field]] = {
    "upsample_nearest2d": partial(_resize, taps=_nearest),
    "_upsample_nearest_exact2d": partial(_resize, taps=_nearest_exact),
    "upsample_bilinear2d": partial(_resize_smooth, taps=2),
    "upsample_bicubic2d": partial(_resize_smooth, taps=4),
    "pixel_shuffle": _to_pixels,
    "pixel_unshuffle": _to_maps,
}
