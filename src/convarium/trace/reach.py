"""Which input pixels an output pixel sees along one axis, exactly, also behind a resize.

Source: Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks",
for the plain case; phases extend it to transposed convolutions and resizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from math import gcd, inf, lcm
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fractions import Fraction

Spot = tuple[float, float]  # the first and the last pixel; (inf, -inf) sees nothing


class Reach(NamedTuple):
    """What an axis of a map sees of the picture, borders left aside.

    The output pixel with index p * j + q, for p = len(spots) phases, sees the input pixels
    span * j + first to span * j + last, where (first, last) = spots[q]. Behind convolutions and
    pools there is one phase, and `span` is the stride.
    """

    span: int = 1
    spots: tuple[Spot, ...] = ((0, 0),)

    @property
    def side(self) -> float:
        """Pixels seen, of the phase that sees the most; 0 where nothing is seen."""
        return max([0, *[last - first + 1 for first, last in self.spots]])

    @property
    def step(self) -> float:
        """Input pixels from one output pixel to the next."""
        whole, rest = divmod(self.span, len(self.spots))
        return self.span / len(self.spots) if rest else whole

    @property
    def centre(self) -> float:
        """Of what output pixel 0 sees, in pixels from the centre of input pixel 0."""
        first, last = self.spots[0]
        return (first + last) / 2

    def sees(self, index: int) -> Spot:
        """First and last input pixel of the output pixel with this index."""
        turn, phase = divmod(index, len(self.spots))
        first, last = self.spots[phase]
        return first + turn * self.span, last + turn * self.span

    @lru_cache(1 << 12)  # noqa: B019 - a tuple: equal ones are one, and they are few
    def window(self, kernel: int, stride: int = 1, dilation: int = 1, pad: int = 0) -> Reach:
        """Behind a sliding window; `pad` pixels stand before the first one."""
        phases = len(self.spots) // gcd(len(self.spots), stride)
        ends = (0, (kernel - 1) * dilation) if len(self.spots) == 1 else None
        taps = ends or [tap * dilation for tap in range(kernel)]
        return self._through(
            lambda index: [index * stride - pad + tap for tap in taps], phases, phases * stride
        )

    def scatter(self, kernel: int, stride: int, dilation: int, pad: int) -> Reach:
        """Behind a transposed convolution: o takes from i where o + pad - tap = i * stride."""

        def inputs(index: int) -> list[int]:
            places = [index + pad - tap * dilation for tap in range(kernel)]
            return [place // stride for place in places if place % stride == 0]

        return self._through(inputs, len(self.spots) * stride, len(self.spots))

    def resized(self, step: Fraction, taps: Callable[[int], Iterable[int]]) -> Reach:
        """Behind a resize: output pixel o reads `taps(o)`, and lies `step` pixels after o - 1."""
        turns = len(self.spots) // gcd(len(self.spots), step.numerator)
        return self._through(taps, turns * step.denominator, turns * step.numerator)

    def joined(self, other: Reach) -> Reach | None:
        """What one or the other sees; None where their steps differ."""
        if self == other:
            return self
        if self.span * len(other.spots) != other.span * len(self.spots):
            return None
        phases = lcm(len(self.spots), len(other.spots))
        if phases == len(self.spots) == len(other.spots):
            pairs = list(zip(self.spots, other.spots, strict=True))
        else:
            pairs = [(self.sees(index), other.sees(index)) for index in range(phases)]
        spots = tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in pairs)
        return Reach(self.span * phases // len(self.spots), spots)

    def _through(self, inputs: Callable[[int], Iterable[int]], phases: int, advance: int) -> Reach:
        """Behind an operator whose output pixel reads `inputs(index)`.

        They move on by `advance` pixels, a multiple of the phases here, every `phases` outputs.
        """
        spots = []
        for index in range(phases):
            seen = [self.sees(place) for place in inputs(index)]
            first = min((a for a, _ in seen), default=inf)
            spots.append((first, max((b for _, b in seen), default=-inf)))
        return Reach(self.span * (advance // len(self.spots)), tuple(spots))


def interleaved(parts: Sequence[Reach]) -> Reach | None:
    """Output pixel o is pixel o // n of part o % n, of n parts; None where their steps differ."""
    first = parts[0]
    if any(part.span * len(first.spots) != first.span * len(part.spots) for part in parts):
        return None
    phases = lcm(*(len(part.spots) for part in parts))
    spots = tuple(part.sees(index) for index in range(phases) for part in parts)
    return Reach(first.span * phases // len(first.spots), spots)


NOTHING = Reach(1, ((inf, -inf),))
