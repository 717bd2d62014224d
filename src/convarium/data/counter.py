"""Random numbers without a state: each is a pure function of (seed, stream, step, sample id).

A counter-based hash, so order and augmentation depend neither on the number of workers nor on
where a run was interrupted. The mixing function is that of SplitMix64.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Stream(IntEnum):
    """What a draw is for: draws of two streams are independent."""

    ORDER = 1
    SHIFT_DOWN = 2
    SHIFT_RIGHT = 3
    CROP_TOP = 4
    CROP_LEFT = 5
    MIRROR = 6
    DROPOUT = 7
    INIT = 8
    BOX = 32  # of a resized crop: 64 draws a sample
    PCA = 33  # two draws a channel
    JITTER = 34  # three factors and their order
    STEP = 35  # what a step draws for its whole batch


def draw(seed: int, stream: Stream, step: int, ids: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """64 random bits a sample id, the same in every process and on every machine.

    Args:
        seed: of the run.
        stream: what the bits are for.
        step: epoch or step number.
        ids: (N,) sample ids, integers.

    Source:
        Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014 (the mixer).

    >>> draw(0, Stream.ORDER, 0, [3]) == draw(0, Stream.ORDER, 0, [1, 2, 3])[2:]
    array([ True])
    """
    key = 0
    for word in (seed, int(stream), step):
        key = int(mix(np.array([(key + (word & _MASK)) & _MASK], dtype=np.uint64))[0])
    counters = np.asarray(ids, dtype=np.uint64) * np.uint64(_GOLDEN)
    return mix(counters + np.full(counters.shape, key, dtype=np.uint64))


def integers(
    seed: int, stream: Stream, step: int, ids: npt.ArrayLike, count: int
) -> npt.NDArray[np.int64]:
    """Whole numbers in 0 .. count-1, one a sample id."""
    return (draw(seed, stream, step, ids) % np.uint64(count)).astype(np.int64)


def shares(
    seed: int, stream: Stream, step: int, ids: npt.ArrayLike, count: int
) -> npt.NDArray[np.float64]:
    """(N, count) numbers in [0, 1), evenly spread, `count` a sample id; 64 at most."""
    counters = np.asarray(ids, dtype=np.uint64)[:, None] * np.uint64(64)
    bits = draw(seed, stream, step, counters + np.arange(count, dtype=np.uint64))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(
    seed: int, stream: Stream, step: int, ids: npt.ArrayLike, count: int
) -> npt.NDArray[np.float64]:
    """(N, count) numbers of the standard normal distribution, by Box and Muller's transform."""
    even = shares(seed, stream, step, ids, 2 * count)
    radius = np.sqrt(-2 * np.log1p(-even[:, :count]))
    return radius * np.cos(2 * np.pi * even[:, count:])


def order(seed: int, epoch: int, size: int) -> npt.NDArray[np.int64]:
    """The sample ids 0 .. size-1 in the order of one epoch."""
    return np.argsort(draw(seed, Stream.ORDER, epoch, np.arange(size)), kind="stable")


def mix(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's output function on the words after its increment, element by element."""
    z = words + np.full(words.shape, _GOLDEN, dtype=np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
