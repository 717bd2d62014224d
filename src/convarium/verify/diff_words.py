"""Units and their differences in the words of the papers' tables."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, Any

from convarium.verify.initial import spread_words
from convarium.verify.unit import Spread, Unit

if TYPE_CHECKING:
    from convarium.verify.difference import Change, DiffRow

_KINDS = {"conv": "convolution", "pool": "pooling", "lrn": "response normalisation"}
_KINDS |= {"add": "sum", "concat": "concatenation", "norm": "normalisation"}
_KINDS |= {"linear": "fully connected", "unused": "parameters that the forward pass does not use"}
_LABELS = {
    "in": "sees {} channels",
    "channels": "{} channels",
    "map": "{} map",
    "kernel": "{}",
    "k": "k {}",
    "over": "over {}",
    "size": "over {} maps",
    "groups": "{} groups",
    "written": "written as a {}",
    "window": "a {}",
    "border": "border pixels {}",
    "pooling": "{} pooling",
    "norm": "norm {}",
}
_SWITCHES = {"bias": "bias", "transposed": "transposition"}


def change_words(change: Change, row: DiffRow) -> str:
    """ "384 -> 256 filters", "5x5 -> 3x3", "bias -> no bias"."""
    if change.field == "alpha":
        return _alpha_words(change, row)
    if change.field == "count":
        return _count_words(change)
    a, b = value_words(change.field, change.a), value_words(change.field, change.b)
    if change.field in _SWITCHES:
        return f"{a} -> {b}"
    if change.field == "filters":
        return f"{a} -> {b} {'filters' if row.kind == 'conv' else 'outputs'}"
    label = _LABELS.get(change.field, f"{change.field.replace('_', ' ')} {{}}")
    return label.format(f"{a} -> {b}")


def _alpha_words(change: Change, row: DiffRow) -> str:
    """Alpha as it multiplies the sum of squares, and that another may multiply the mean."""
    sizes = [unit.settings["size"] for unit in (row.a, row.b) if unit]
    text = f"alpha {change.a:g} -> {change.b:g} times the sum of squares"
    if isclose(change.a, change.b * sizes[1]):
        return f"{text}: {change.a:g} times the mean of {sizes[1]}"
    if isclose(change.b, change.a * sizes[0]):
        return f"{text}: {change.b:g} times the mean of {sizes[0]} before"
    return text


def _count_words(change: Change) -> str:
    """ "442,368 -> 442,624 parameters that its settings do not explain"."""
    counts = zip(change.a, change.b, ("parameters", "MACs"), strict=True)
    told = [f"{a:,} -> {b:,} {what}" for a, b, what in counts if a != b]
    return f"{', '.join(told)} that its settings do not explain"


def value_words(field: str, value: Any) -> str:
    """One value of a setting.

    >>> value_words("kernel", (5, 5)), value_words("bias", False), value_words("rate", 0.4)
    ('5x5', 'no bias', '0.4')
    """
    if field in _SWITCHES:
        return _SWITCHES[field] if value else f"no {_SWITCHES[field]}"
    if field.startswith("start of"):
        return spread_words(Spread(**value))
    if isinstance(value, (tuple, list)):
        sides = [f"{v:,}" if isinstance(v, int) else str(v) for v in value]
        is_square = field in ("stride", "pad", "dilation") and len(set(sides)) == 1
        return sides[0] if is_square else "x".join(sides)
    return f"{value:g}" if isinstance(value, float) else str(value)


def unit_words(unit: Unit) -> str:
    """ "conv 3x3/2 pad 1, 64 -> 128, batch norm, relu"."""
    s = unit.settings
    head = s["pooling"] + " pool" if "pooling" in s else unit.kind
    parts = [f"{head}{_window_words(unit)}"]
    if "filters" in s:
        parts.append(f"{'?' if s['in'] is None else s['in']} -> {s['filters']}")
    parts += [f"{s['groups']} groups"] if s.get("groups", 1) > 1 else []
    parts += [s[field] for field in ("norm", "activation") if s.get(field, "none") != "none"]
    parts += [f"rate {s['rate']:g}"] if "rate" in s else []
    parts += [f"{key} {s[key]:g}" for key in ("size", "k", "alpha", "beta") if key in s]
    parts += [s["is"]] if s.get("is") else []
    return ", ".join(parts)


def _window_words(unit: Unit) -> str:
    """ " 3x3/2 pad 1", nothing for a layer without a window."""
    s = unit.settings
    if s.get("kernel") is None:
        return f" {s['window']}" if "window" in s else ""
    text = f" {value_words('kernel', s['kernel'])}"
    if any(step != 1 for step in s.get("stride") or ()):
        text += f"/{value_words('stride', s['stride'])}"
    if any(s.get("pad") or ()):
        text += f" pad {value_words('pad', s['pad'])}"
    return text


def row_words(row: DiffRow) -> str:
    """What differs in one row, empty for none."""
    if row.status == "moved":
        places = [f"behind {after or 'the input'}" for after in (row.after_a, row.after_b)]
        return "; ".join([" -> ".join(places), *(change_words(c, row) for c in row.changes)])
    if row.status in ("only_a", "only_b"):
        return f"only in the {'first' if row.status == 'only_a' else 'second'}"
    return "; ".join(change_words(change, row) for change in row.changes)


def kind_words(row: DiffRow) -> str:
    """What a row's layer is, in full."""
    return _KINDS.get(row.kind, row.kind)


def signed(count: int) -> str:
    """A difference with its sign.

    >>> signed(-737408), signed(64), signed(0)
    ('-737,408', '+64', '0')
    """
    return f"{count:+,}" if count else "0"


def told(params: int, macs: int) -> str:
    """ "-737,408 parameters, -124,620,800 MACs"; a zero is left out where the other is none."""
    parts = [f"{signed(params)} parameters"] * bool(params) + [f"{signed(macs)} MACs"] * bool(macs)
    return ", ".join(parts) if parts else "no change of parameters or MACs"
