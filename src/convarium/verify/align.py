"""Two lists of units -> pairs, by what the units are: the cheapest way to turn one into the other.

Needleman and Wunsch's alignment with a cost a pair: units of one kind cost what their widths, maps
and windows differ by, units of two kinds are never a pair, and a unit without a partner costs a
gap. One row of the table is a few array operations, so that 1,000 layers align in a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod

import numpy as np
from numpy.typing import NDArray

from convarium.verify.unit import WEIGHTED, Unit

Pair = tuple[int | None, int | None]
_Array = NDArray[np.float64]
_GAP, _SMALL_GAP = 1.0, 0.7  # of a unit with weights, and of any other
_NEVER = 1e6
# Weight and ceiling of each feature's difference; logarithms to base 2, so 1 is "twice as many".
_FEATURES = ((0.5, 3.0), (0.2, 2.0), (0.1, 3.0), (0.25, 3.0), (0.1, 2.0), (0.15, 3.0), (0.4, 1.0))


def align(a: Sequence[Unit], b: Sequence[Unit]) -> list[Pair]:
    """Pairs of positions in `a` and `b`, both rising; None where a unit has no partner.

    Where several ways cost the same, the partner is the earlier one.
    """
    costs, gaps_a, gaps_b = _costs(a, b), _gaps(a), _gaps(b)
    table = _table(costs, gaps_a, gaps_b)
    pairs: list[Pair] = []
    i = j = 0
    while i < len(a) or j < len(b):
        here = table[i, j]
        both = i < len(a) and j < len(b)
        if both and costs[i, j] < _NEVER and _same(here, costs[i, j] + table[i + 1, j + 1]):
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif i < len(a) and _same(here, gaps_a[i] + table[i + 1, j]):
            pairs.append((i, None))
            i += 1
        else:
            pairs.append((None, j))
            j += 1
    return pairs


def _table(costs: _Array, gaps_a: _Array, gaps_b: _Array) -> _Array:
    """table[i, j]: the least cost of aligning a[i:] with b[j:].

    A run of gaps in b is a minimum over all its ends: with the gaps summed up from the left, one
    running minimum from the right does it for a whole row.
    """
    rows, columns = costs.shape
    summed = np.concatenate([[0.0], np.cumsum(gaps_b)])
    table = np.empty((rows + 1, columns + 1))
    table[rows] = summed[-1] - summed
    for i in range(rows - 1, -1, -1):
        best = gaps_a[i] + table[i + 1]
        np.minimum(best[:-1], costs[i] + table[i + 1, 1:], out=best[:-1])
        best += summed
        table[i] = np.minimum.accumulate(best[::-1])[::-1] - summed
    return table


def _same(x: float, y: float) -> bool:
    return abs(x - y) < 1e-7


def _gaps(units: Sequence[Unit]) -> _Array:
    return np.array([_GAP if unit.kind in WEIGHTED else _SMALL_GAP for unit in units])


def _costs(a: Sequence[Unit], b: Sequence[Unit]) -> _Array:
    """Of every pair: 0 for equal units, at most 1.9 gaps for units of one kind."""
    kinds = {kind: code for code, kind in enumerate(sorted({u.kind for u in (*a, *b)}))}
    code_a, code_b = (np.array([kinds[u.kind] for u in units]) for units in (a, b))
    features_a, features_b = (
        np.array([_features(u) for u in units]).reshape(-1, len(_FEATURES)) for units in (a, b)
    )
    costs = np.zeros((len(a), len(b)))
    for k, (weight, ceiling) in enumerate(_FEATURES):
        apart = np.abs(features_a[:, k, None] - features_b[None, :, k])
        costs += weight * np.minimum(apart, ceiling)
    gaps = np.minimum(_gaps(a)[:, None], _gaps(b)[None, :])
    costs = np.minimum(costs, 1.9 * gaps)
    costs[code_a[:, None] != code_b[None, :]] = _NEVER
    return costs


def _features(unit: Unit) -> tuple[float, ...]:
    s = unit.settings
    return (
        log2(prod(s.get("kernel") or (1,))) / 2,
        log2(prod(s.get("stride") or (1,))) / 2,
        log2(s.get("groups") or 1),
        log2(unit.channels or 1),
        log2(s.get("in") or 1),
        log2(prod(unit.map) or 1) / 2,
        float(s.get("pooling") == "max"),
    )
