"""Norms and activations go to the layer that they follow; where they stand alone they stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from convarium.verify.unit import WEIGHTED, Unit

_ACTIVATED = WEIGHTED | {"norm", "add", "concat", "mean"}


def folded(pieces: Iterable[Unit], sources: Mapping[str, str] | None = None) -> tuple[Unit, ...]:
    """The units of `pieces`, which are in the order in which they run.

    A norm is folded into the convolution or linear layer that it takes, an activation into such a
    layer, a norm or a join. Parameters and multiply-adds sum to what they were.

    Args:
        pieces: every layer by itself.
        sources: name of a piece -> name of the one whose output it takes; the piece before it
            where none is named.
    """
    sources = sources or {}
    units: list[Unit] = []
    ends: dict[str, int] = {}  # the last piece of each unit -> the unit's place
    for piece in pieces:
        place = ends.get(sources.get(piece.name, ""), len(units) - 1)
        if place >= 0 and _takes(units[place], piece):
            units[place] = _with(units[place], piece)
        else:
            place = len(units)
            units.append(_plain(piece))
        ends[piece.name] = place
    return tuple(units)


def _takes(unit: Unit, piece: Unit) -> bool:
    if unit.output != piece.output or unit.settings.get("activation") != "none":
        return False
    if piece.kind == "norm":
        return unit.kind in WEIGHTED and unit.settings["norm"] == "none"
    return piece.kind == "activation" and unit.kind in _ACTIVATED


def _with(unit: Unit, piece: Unit) -> Unit:
    if piece.kind == "activation":
        return replace(unit, settings={**unit.settings, "activation": piece.settings["function"]})
    return replace(
        unit,
        params=unit.params + piece.params,
        norm_params=piece.params,
        settings={**unit.settings, **piece.settings},
    )


def _plain(piece: Unit) -> Unit:
    """A layer that nothing was folded into yet."""
    if piece.kind in WEIGHTED:
        return replace(piece, settings={"norm": "none", "activation": "none", **piece.settings})
    if piece.kind in _ACTIVATED:
        return replace(piece, settings={"activation": "none", **piece.settings})
    return piece
