"""Which networks no other one beats, and the race in one sentence. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def front(points: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Names on the Pareto front, the cheapest first.

    Args:
        points: by name, (what is to be large, what is to be small), such as (accuracy, ms).

    >>> front({"a": (0.9, 1.0), "b": (0.8, 2.0), "c": (0.95, 3.0)})
    ('a', 'c')
    """

    def beaten(name: str) -> bool:
        good, cost = points[name]
        return any(g >= good and c <= cost and (g, c) != (good, cost) for g, c in points.values())

    return tuple(sorted((n for n in points if not beaten(n)), key=lambda n: points[n][1]))


def sentence(front_time: Sequence[str], front_size: Sequence[str]) -> str:
    """Who is on the fronts.

    >>> sentence(["a", "b"], ["a"])
    'On the front of accuracy against milliseconds: a and b; against megabytes: a.'
    """
    if tuple(front_time) == tuple(front_size):
        return (
            "On the front of accuracy against milliseconds, and against megabytes: "
            f"{_and(front_time)}."
        )
    return (
        f"On the front of accuracy against milliseconds: {_and(front_time)}; "
        f"against megabytes: {_and(front_size)}."
    )


def _and(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
