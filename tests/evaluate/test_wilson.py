"""Wilson's interval against Newcombe 1998, table I, method 3, and against SciPy."""

from __future__ import annotations

import pytest

from convarium.errors import UsageError
from convarium.evaluate import wilson_interval

NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("right", "total", "low", "high"), NEWCOMBE)
def test_published_intervals(right, total, low, high) -> None:
    ours = wilson_interval(right, total)
    assert ours == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(("right", "total"), [(0, 1), (1, 1), (342, 360), (360, 360), (5, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_scipy_agrees(right, total, confidence) -> None:
    stats = pytest.importorskip("scipy.stats")
    theirs = stats.binomtest(right, total).proportion_ci(confidence, method="wilson")
    assert wilson_interval(right, total, confidence) == pytest.approx(tuple(theirs), abs=1e-12)


@pytest.mark.parametrize(("right", "total"), [(0, 0), (3, 2), (-1, 5)])
def test_counts_that_are_no_share(right, total) -> None:
    with pytest.raises(UsageError, match="is no share"):
        wilson_interval(right, total)
