"""What a number of a recipe may be: wide enough for every paper, narrow enough to train with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convarium.errors import UsageError

if TYPE_CHECKING:
    from convarium.recipes.model import Recipe

# Field: lowest, highest; whether the lowest itself is allowed.
LIMITS: dict[str, tuple[float, float, bool]] = {
    "lr": (0, 100, False),
    "epochs": (1, 1_000_000, True),
    "iterations": (1, 1_000_000_000, True),
    "batch": (1, 1_000_000, True),
    "momentum": (0, 0.9999, True),
    "weight_decay": (0, 1, True),
    "clip": (0, 1_000_000, False),
    "max_filter_rms": (0, 1_000_000, False),
    "aux_weight": (0, 100, True),
    "average": (0, 0.999999, False),
    "init_convolutions": (0, 10_000, True),
    "shift_px": (0, 1024, True),
    "short_side": (1, 8192, True),
    "area": (0, 1, False),
    "aspect": (0.01, 100, True),
    "pca_sigma": (0, 100, True),
    "jitter": (0, 1, True),
    "validation": (0, 0.9, True),
}
_MAY_LACK = set(
    "epochs iterations clip max_filter_rms average init_convolutions short_side area".split()
)


def check_limits(recipe: Recipe) -> None:
    """Nothing when every number is within its limits.

    Raises:
        UsageError: one is not, is no number, or a range has its ends exchanged.
    """
    for name, (low, high, is_closed) in LIMITS.items():
        value = getattr(recipe, name)
        if value is None and name in _MAY_LACK:
            continue
        ends = value if isinstance(value, (tuple, list)) else (value,)
        within = all(end is not None and low <= end <= high for end in ends)  # false for NaN
        if not within or (not is_closed and low in ends):
            rule = f"from {low:g} to" if is_closed else f"above {low:g} and at most"
            most = f"{high:,.0f}" if high >= 1000 else f"{high:g}"
            raise UsageError(f"{recipe.name}: {name} must be {rule} {most}, not {value!r}.")
        if len(ends) == 2 and ends[0] > ends[1]:
            raise UsageError(f"{recipe.name}: {name} must have the lower end first, not {value!r}.")
