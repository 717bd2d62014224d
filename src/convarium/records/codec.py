"""Results as plain dicts, for JSON, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from convarium.records.model import EpochPoint, Mistake, Race, Result


def result_to_dict(result: Result) -> dict[str, Any]:
    """Every field under its name; tuples become lists once JSON has been through."""
    return asdict(result)


def result_from_dict(raw: dict[str, Any]) -> Result:
    """The result that `result_to_dict` wrote; keys of later versions are left out.

    Raises:
        TypeError, ValueError: the dict is no result.
    """
    known = {name: raw[name] for name in Result.__dataclass_fields__ if name in raw}
    known |= {
        **{name: _pair(raw[name]) for name in ("ms_batch1_spread", "images_per_second_spread")},
        "confusion": tuple(tuple(row) for row in raw["confusion"]),
        "curve": tuple(EpochPoint(**point) for point in raw["curve"]),
        "mistakes": tuple(Mistake(**mistake) for mistake in raw["mistakes"]),
    }
    return Result(**known)


def race_to_dict(race: Race) -> dict[str, Any]:
    """A whole race as `race.json` holds it."""
    return asdict(race)


def _pair(value: list[float] | None) -> tuple[float, ...] | None:
    return None if value is None else tuple(value)
