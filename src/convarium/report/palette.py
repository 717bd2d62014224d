"""The report's colours: one name, a light and a dark value.

Charts and the style sheet write `var(--name)`, so one drawing serves both themes; files that
stand alone (SVG, PNG) get the light value in its place.
"""

from __future__ import annotations

import re

# Text names reach 4.5:1 on page and card, series names 3:1 (WCAG 2.1 AA, 1.4.3 and 1.4.11).
TOKENS: dict[str, tuple[str, str]] = {
    "page": ("#f6f5f1", "#0f1216"),
    "card": ("#ffffff", "#171b21"),
    "ink": ("#1a1d21", "#eef1f4"),
    "muted": ("#565d66", "#a9b2bc"),
    "line": ("#dddad2", "#2f363f"),
    "accent": ("#0a5f9e", "#6ab8f7"),
    "on-accent": ("#ffffff", "#0f1216"),
    "alarm": ("#a93b00", "#ff9d6b"),
    "soft": ("#eef3f7", "#1e2730"),
    # Okabe and Ito's hues, darker on white and lighter on black than theirs.
    "s0": ("#0072b2", "#56b4e9"),
    "s1": ("#c85200", "#ff8f57"),
    "s2": ("#00805e", "#2cc79b"),
    "s3": ("#b0508a", "#e79bc6"),
    "s4": ("#916500", "#f0c24b"),
    "s5": ("#4a4f57", "#c4cad2"),
}
HUES = tuple(name for name in TOKENS if re.fullmatch(r"s\d", name))
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2))
_VARIABLE = re.compile(r"var\(--([a-z0-9-]+)\)")


def variable(name: str) -> str:
    """The colour as charts and styles write it.

    >>> variable("ink")
    'var(--ink)'
    """
    if name not in TOKENS:
        raise KeyError(name)
    return f"var(--{name})"


def hue(position: int) -> str:
    """Colour of the network at this place of the race; hues repeat after the sixth."""
    return variable(HUES[position % len(HUES)])


def dash(position: int) -> list[int]:
    """Dashes of the same network's line: what tells it from one that shares its hue."""
    return list(DASHES[position // len(HUES) % len(DASHES)])


def resolved(drawing: str) -> str:
    """The drawing with each variable replaced by its light value.

    >>> resolved('<path fill="var(--s0)"/>')
    '<path fill="#0072b2"/>'
    """
    return _VARIABLE.sub(lambda found: TOKENS[found[1]][0], drawing)
