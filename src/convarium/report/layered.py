"""Places boxes in ranks from top to bottom, few lines crossing: a small Sugiyama layout.

Deterministic: equal input gives equal places, so that a drawing can be kept and compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

_SWEEPS = 12
_ASIDE = 0.02  # what a line that passes by counts beside a box


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is, in pixels: `x` of each box's centre, `rank` of each box, and of each
    edge the centres that it passes on the ranks between its ends.
    """

    x: dict[str, float]
    rank: dict[str, int]
    bends: dict[tuple[str, str], tuple[float, ...]]
    width: float


def place(
    widths: Mapping[str, float],
    edges: Sequence[tuple[str, str]],
    *,
    ranks: Mapping[str, int] | None = None,
    gap: float = 28.0,
) -> Places:
    """Places for boxes of these widths (pixels), ends of edges below their starts.

    Args:
        widths: width of each box by its key, in pixels, in the order to prefer from the left.
        edges: (start, end) pairs of keys, without cycles.
        ranks: row of each box from the top; the longest way to it when None.
        gap: between neighbours, in pixels.
    """
    rank = dict(ranks) if ranks is not None else _longest_ways(list(widths), edges)
    chains = {edge: _chain(edge, rank) for edge in edges}
    size = dict(widths)
    for edge, chain in chains.items():
        for step, key in enumerate(chain[1:-1], start=1):
            size[key] = 0.0
            rank[key] = rank[edge[0]] + step
    links = [pair for chain in chains.values() for pair in pairwise(chain)]
    rows = _ordered(_rows(size, rank), links)
    x = _spread(rows, links, size, gap)
    for chain in chains.values():
        _straighten(x, chain, rows, size, gap)
    left = min(x[key] - size[key] / 2 for key in x)
    x = {key: centre - left for key, centre in x.items()}
    return Places(
        x={key: x[key] for key in widths},
        rank={key: rank[key] for key in widths},
        bends={edge: tuple(x[key] for key in chain[1:-1]) for edge, chain in chains.items()},
        width=max(x[key] + size[key] / 2 for key in x),
    )


def _longest_ways(keys: list[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    rank = dict.fromkeys(keys, 0)
    for _ in keys:
        for start, end in edges:
            rank[end] = max(rank[end], rank[start] + 1)
    return rank


def _chain(edge: tuple[str, str], rank: Mapping[str, int]) -> list[str]:
    """The edge's ends with a stand-in on every rank between them."""
    start, end = edge
    between = [f"{start}>{end}@{r}" for r in range(rank[start] + 1, rank[end])]
    return [start, *between, end]


def _rows(size: Mapping[str, float], rank: Mapping[str, int]) -> list[list[str]]:
    rows: list[list[str]] = [[] for _ in range(max(rank.values()) + 1)]
    for key in size:
        rows[rank[key]].append(key)
    return rows


def _ordered(rows: list[list[str]], links: list[tuple[str, str]]) -> list[list[str]]:
    """The order within each row that has the fewest crossings of those tried."""
    best, fewest = rows, _crossings(rows, links)
    for sweep in range(_SWEEPS):
        rows = _swept(rows, links, downwards=sweep % 2 == 0)
        crossings = _crossings(rows, links)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _swept(
    rows: list[list[str]], links: list[tuple[str, str]], *, downwards: bool
) -> list[list[str]]:
    """Each row sorted by the mean place of its neighbours in the row before."""
    near = _neighbours(links, above=downwards)
    new = [list(row) for row in rows]
    for row in new if downwards else reversed(new):
        place_of = {key: i for other in new for i, key in enumerate(other)}
        means = {key: _mean([place_of[n] for n in near.get(key, [key])]) for key in row}
        row.sort(key=means.__getitem__)
    return new


def _neighbours(links: list[tuple[str, str]], *, above: bool) -> dict[str, list[str]]:
    near: dict[str, list[str]] = {}
    for start, end in links:
        near.setdefault(end if above else start, []).append(start if above else end)
    return near


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _crossings(rows: list[list[str]], links: list[tuple[str, str]]) -> int:
    place_of = {key: (r, i) for r, row in enumerate(rows) for i, key in enumerate(row)}
    ends = [(*place_of[start], place_of[end][1]) for start, end in links]
    return sum(
        one[0] == two[0] and one[1] < two[1] and one[2] > two[2] for one, two in product(ends, ends)
    )


def _spread(
    rows: list[list[str]], links: list[tuple[str, str]], size: Mapping[str, float], gap: float
) -> dict[str, float]:
    """Centres in pixels: each box as near to its neighbours' mean as the others let it."""
    x = {key: 0.0 for row in rows for key in row}
    for row in rows:
        _settle(x, row, dict.fromkeys(row, 0.0), size, gap)
    above, below = _neighbours(links, above=True), _neighbours(links, above=False)
    both = {key: above.get(key, []) + below.get(key, []) for key in x}
    for sweep in range(8 * _SWEEPS):
        near = (above, below)[sweep % 2] if sweep < _SWEEPS else both
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = {key: _wanted(x, key, near.get(key) or [key], both, size) for key in row}
            _settle(x, row, wanted, size, gap)
    return x


def _wanted(
    x: Mapping[str, float],
    key: str,
    near: Sequence[str],
    both: Mapping[str, Sequence[str]],
    size: Mapping[str, float],
) -> float:
    """The mean of the neighbours' places; those with few lines of their own count most."""
    weights = [
        1 / max(len(both[n]), 1) * (_ASIDE if size[key] > 0 and size[n] == 0 else 1) for n in near
    ]
    return sum(w * x[n] for w, n in zip(weights, near, strict=True)) / sum(weights)


def _straighten(
    x: dict[str, float],
    chain: list[str],
    rows: list[list[str]],
    size: Mapping[str, float],
    gap: float,
) -> None:
    """Puts a line's stand-ins right below its start, or as near as their rows leave room."""
    low, high = float("-inf"), float("inf")
    for key in chain[1:-1]:
        row = next(row for row in rows if key in row)
        i = row.index(key)
        if i > 0:
            low = max(low, x[row[i - 1]] + size[row[i - 1]] / 2 + gap)
        if i + 1 < len(row):
            high = min(high, x[row[i + 1]] - size[row[i + 1]] / 2 - gap)
    if low <= high:
        x.update(dict.fromkeys(chain[1:-1], min(max(x[chain[0]], low), high)))


def _settle(
    x: dict[str, float],
    row: list[str],
    wanted: Mapping[str, float],
    size: Mapping[str, float],
    gap: float,
) -> None:
    """Puts a row's boxes at the places least far, squared, from the wanted ones, in order and
    without overlap: pool-adjacent-violators on the places less what stands to the left.
    """
    offsets, at = [], 0.0
    for i, key in enumerate(row):
        at += 0.0 if i == 0 else (size[row[i - 1]] + size[key]) / 2 + gap
        offsets.append(at)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for key, offset in zip(row, offsets, strict=True):
        pool = (wanted[key] - offset, 1.0 if size[key] else _ASIDE, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, weight, members = pools.pop()
            total = weight + pool[1]
            pool = ((mean * weight + pool[0] * pool[1]) / total, total, members + pool[2])
        pools.append(pool)
    means = [mean for mean, _, members in pools for _ in range(members)]
    for key, mean, offset in zip(row, means, offsets, strict=True):
        x[key] = mean + offset
