"""The counter-based hash: published SplitMix64 values, and independence of how it is asked."""

from __future__ import annotations

import numpy as np
import pytest

from convarium.data.counter import Stream, draw, integers, mix, order

# First outputs of SplitMix64 (Vigna's splitmix64.c) from seed 0 and from seed 1234567.
GOLDEN = 0x9E3779B97F4A7C15
PUBLISHED = {
    0: (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F),
    1234567: (6457827717110365317, 3203168211198807973, 9817491932198370423),
}


@pytest.mark.parametrize("seed", PUBLISHED)
def test_mixer_gives_the_published_numbers(seed) -> None:
    states = [(seed + step * GOLDEN) % 2**64 for step in range(3)]
    assert tuple(mix(np.array(states, dtype=np.uint64)).tolist()) == PUBLISHED[seed]


def test_a_draw_depends_on_its_own_id_alone() -> None:
    together = draw(7, Stream.MIRROR, 3, np.arange(100))
    alone = [int(draw(7, Stream.MIRROR, 3, [index])[0]) for index in range(100)]
    assert together.tolist() == alone


@pytest.mark.parametrize(
    ("seed", "stream", "step"),
    [(8, Stream.MIRROR, 3), (7, Stream.ORDER, 3), (7, Stream.MIRROR, 4), (-7, Stream.MIRROR, 3)],
)
def test_seed_stream_and_step_each_matter(seed, stream, step) -> None:
    ours = draw(7, Stream.MIRROR, 3, np.arange(1000))
    assert not (draw(seed, stream, step, np.arange(1000)) == ours).any()


def test_bits_are_even() -> None:
    bits = np.unpackbits(draw(0, Stream.ORDER, 0, np.arange(4096)).view(np.uint8))
    # 262,144 fair coins: deviation 256; six of them.
    assert abs(int(bits.sum()) - bits.size // 2) < 6 * 256


def test_integers_cover_their_range_evenly() -> None:
    counts = np.bincount(integers(0, Stream.SHIFT_DOWN, 1, np.arange(30_000), 3), minlength=3)
    assert counts.sum() == 30_000
    # 10,000 expected each, deviation sqrt(30000 * 1/3 * 2/3) = 82; five of them.
    assert (abs(counts - 10_000) < 410).all()


def test_an_order_is_a_permutation_and_changes_with_the_epoch() -> None:
    first, second = order(0, 1, 500), order(0, 2, 500)
    assert sorted(first.tolist()) == list(range(500))
    assert (first == second).sum() < 10
