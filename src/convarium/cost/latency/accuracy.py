"""How good predictions of time are: relative errors, and the order of the networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

TIE = 0.10  # two networks whose measured times are closer than this are not ordered


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`mean_error` is the mean of |predicted / measured - 1|, `worst_error` the largest of these.

    `tau` is Kendall's, over the pairs that are no ties; None where there is no such pair.
    """

    mean_error: float
    worst_error: float
    tau: float | None


def accuracy(predicted: Sequence[float], measured: Sequence[float]) -> Accuracy:
    """Errors and order of predictions, both in one unit.

    >>> accuracy([1.1, 1.8], [1.0, 2.0])
    Accuracy(mean_error=0.1, worst_error=0.1, tau=1.0)
    """
    errors = [round(abs(p / m - 1), 12) for p, m in zip(predicted, measured, strict=True)]
    return Accuracy(math.fsum(errors) / len(errors), max(errors), tau(predicted, measured))


def tau(predicted: Sequence[float], measured: Sequence[float], tie: float = TIE) -> float | None:
    """Kendall's tau: pairs in the right order less pairs in the wrong one, over all of these.

    Pairs whose measured values differ by less than `tie` of the larger one are left out; a pair
    that is predicted equal counts for neither side.

    >>> tau([1, 2, 3, 10], [1, 2, 2.1, 1.5])
    0.2
    """
    score = pairs = 0
    for (p, m), (q, n) in combinations(zip(predicted, measured, strict=True), 2):
        if abs(m - n) < tie * max(m, n):
            continue
        pairs += 1
        score += (p > q) - (p < q) if m > n else (p < q) - (p > q)
    return score / pairs if pairs else None


def by_macs(macs: Sequence[float], measured: Sequence[float]) -> list[float]:
    """Times by multiply-adds alone, at the one rate that suits the measured times best.

    The rate is the geometric mean over these very networks: no other rate is as kind.

    >>> [round(t, 6) for t in by_macs([1e9, 4e9], [0.01, 0.04])]
    [0.01, 0.04]
    """
    logs = [math.log(t / m) for m, t in zip(macs, measured, strict=True)]
    rate = math.exp(math.fsum(logs) / len(logs))
    return [rate * m for m in macs]


def repeatability(laps: Sequence[Sequence[float]]) -> float:
    """How far the machine is from itself: the best of every second round against the others'.

    >>> round(repeatability([[1.0, 1.1, 1.2, 1.3], [2.0, 2.0, 2.0, 2.0]]), 3)
    0.05
    """
    apart = []
    for rounds in laps:
        odd, even = min(rounds[::2]), min(rounds[1::2])
        apart.append(max(odd, even) / min(odd, even) - 1)
    return math.fsum(apart) / len(apart)
