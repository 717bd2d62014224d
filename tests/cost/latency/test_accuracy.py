"""Errors, Kendall's tau with ties, MACs alone, repeatability: by hand and by scipy."""

from __future__ import annotations

import random

import pytest
from scipy.stats import kendalltau

from convarium.cost.latency.accuracy import accuracy, by_macs, repeatability, tau
from convarium.cost.latency.check import report
from convarium.cost.measured.interference import Signs, judge


def test_errors_are_relative_to_the_measured() -> None:
    found = accuracy([12.0, 40.0, 9.0], [10.0, 50.0, 10.0])
    assert found.mean_error == pytest.approx((0.2 + 0.2 + 0.1) / 3)
    assert found.worst_error == pytest.approx(0.2)


@pytest.mark.parametrize("seed", range(5))
def test_tau_without_ties_is_scipys(seed: int) -> None:
    dice = random.Random(seed)
    a, b = ([dice.random() for _ in range(20)] for _ in range(2))
    assert tau(a, b, tie=0.0) == pytest.approx(kendalltau(a, b).statistic)


def test_pairs_closer_than_a_tenth_are_ties() -> None:
    """10 and 10.9 are not ordered: 5 of 6 pairs count, all of them right."""
    assert tau([1, 3, 2, 4], [5, 10.9, 10, 20]) == 1
    assert tau([1, 2], [10, 10.5]) is None
    assert tau([1, 1, 2], [1, 2, 4]) == pytest.approx(2 / 3)  # one pair predicted equal


def test_macs_alone_get_the_kindest_rate() -> None:
    """Two networks of one size take 1 and 4 seconds: the geometric mean is 2."""
    assert by_macs([7, 7], [1.0, 4.0]) == pytest.approx([2, 2])


def test_repeatability_is_best_against_best() -> None:
    assert repeatability([[1.0, 1.2, 9.0, 9.0]]) == pytest.approx(0.2)


def test_a_check_holds_predictions_against_the_best_round() -> None:
    """Of 8, 9, 8 ms for a, 10 predicted, 8 counts; of 50, 40, 41 ms for b, 30 predicted, 40."""
    laps = {"a": [0.008, 0.009, 0.008], "b": [0.05, 0.04, 0.041]}
    quiet = judge(Signs(1.0, 2.0, 0))
    found = report([("a", 10.0, 10**9), ("b", 30.0, 4 * 10**9)], laps, quiet)
    assert [(row.best_ms, row.median_ms) for row in found.rows] == [(8.0, 8.0), (40.0, 41.0)]
    assert found.model.mean_error == pytest.approx((0.25 + 0.25) / 2)
    assert found.model.tau == found.macs_alone.tau == 1
    # The rate is the geometric mean of 8 and 10 ms a GMAC.
    assert found.ms_per_gmac == pytest.approx(80**0.5)
    assert found.macs_alone.mean_error == pytest.approx(
        ((80**0.5 / 8 - 1) + (1 - 80**0.5 / 10)) / 2
    )
    assert found.rounds == 3
