"""Typed rows against traced layers, one verdict a row of the paper's table."""

from __future__ import annotations

from collections.abc import Sequence

from convarium.facts import LayerRow, difference_reason
from convarium.verify.matching import match
from convarium.verify.network import Layer, Network
from convarium.verify.verdict import Verdict, Word
from convarium.verify.words import LAYERS, said, seen


def row_verdicts(net: Network, rows: Sequence[LayerRow]) -> list[Verdict]:
    """One verdict a typed row, and one for the layers of ours that no row speaks of."""
    matches = match(rows, net.layers)
    verdicts = [_verdict(net.name, row, ours) for row, ours in zip(rows, matches, strict=True)]
    spoken = {layer.key for ours in matches for layer in ours}
    beside = [x.name for x in net.layers if x.kind in LAYERS and x.key not in spoken]
    fact = "layers beside the rows of the table"
    reason = difference_reason(net.name, fact) if beside else None
    where, confidence = (rows[0].where, rows[0].confidence) if rows else ("", "sourced")
    word: Word = "DIFFERS" if beside else "AGREES"
    verdicts.append(
        Verdict(
            net.name, fact, "none", ", ".join(beside) or "none", word, reason, where, confidence
        )
    )
    return verdicts


def _verdict(model: str, row: LayerRow, ours: tuple[Layer, ...]) -> Verdict:
    fact = f"row {row.name}"
    theirs, shown = said(row), seen(row, ours) if ours else None
    word: Word = "AGREES" if theirs == shown else "DIFFERS"
    reason = difference_reason(model, fact) if word == "DIFFERS" else None
    if word == "DIFFERS" and ours:
        shown = f"{shown} ({ours[0].name})"
    return Verdict(model, fact, theirs, shown, word, reason, row.where, row.confidence)
