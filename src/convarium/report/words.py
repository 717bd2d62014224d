"""Plain words for values of any shape: recipes, plans and machines are free-form records."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from convarium.cost.words import megabytes


def told(value: Any) -> str:
    """A value as a line of text.

    >>> told({"lr": 0.05, "nesterov": True, "shift": [1, 2], "energy": None})
    'lr 0.05, nesterov yes, shift 1, 2, energy not available'
    >>> told([])
    'none'
    """
    if value is None:
        return "not available"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {told(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(told(part) for part in value) or "none"
    return str(value)


def pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values in words; what is counted in bytes loses that word and gains a unit.

    >>> pairs({"cores": 2, "memory_bytes": 16_777_216_000})
    [('cores', '2'), ('memory', '16,777.22 MB')]
    """
    found = []
    for name, value in values.items():
        counted = name.endswith("_bytes")
        words = megabytes(value) if counted and isinstance(value, int) else told(value)
        found.append((name.removesuffix("_bytes") if counted else name, words))
    return found


def day(moment: str) -> str:
    """The moment as people write it; what is no ISO 8601 stays as it is.

    >>> day("2026-03-01T12:30:00+00:00")
    '1 March 2026, 12:30 UTC'
    """
    try:
        when = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    except ValueError:
        return moment
    if when.tzinfo is not None:
        when = when.astimezone(timezone.utc)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def recipe_rows(recipe: dict[str, Any], epochs: int) -> list[tuple[str, str, str]]:
    """Each field of a recorded recipe, its value in words, and where that comes from.

    `epochs` were run, by the recipe or by what was asked in its place.

    >>> recipe_rows({"lr": 0.1, "clip": None, "sources": {"lr": "section 4.2"}}, 9)
    [('lr', '0.1', 'section 4.2'), ('clip', 'none', '')]
    >>> recipe_rows({"epochs": 5}, 5), recipe_rows({"epochs": 5}, 2)
    ([('epochs', '5', '')], [('epochs', '5; this run: 2', '')])
    """
    sources = recipe.get("sources", {})

    def words(name: str, value: Any) -> str:
        line = "none" if value in (None, {}) else told(value)
        return f"{line}; this run: {epochs}" if name == "epochs" and value != epochs else line

    return [
        (name, words(name, value), sources.get(name, ""))
        for name, value in recipe.items()
        if name != "sources"
    ]
