"""Plain words for values of any shape: recipes, plans and machines are free-form records."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def told(value: Any) -> str:
    """A value as a line of text.

    >>> told({"lr": 0.05, "nesterov": True, "shift": [1, 2], "energy": None})
    'lr 0.05, nesterov yes, shift 1, 2, energy not available'
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
        return ", ".join(told(part) for part in value)
    return str(value)


def day(moment: str) -> str:
    """The moment as people write it; what is no ISO 8601 stays as it is.

    >>> day("2026-03-01T12:30:00+00:00")
    '1 March 2026, 12:30 UTC'
    """
    try:
        when = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    except ValueError:
        return moment
    return f"{when.day} {when:%B %Y, %H:%M} UTC"
