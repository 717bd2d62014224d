"""Where a layer table contradicts itself: counts, shapes or an order that do not follow.

A table is typed in or written by a program, and either may err. Its numbers are taken as they
stand; what they should have been is told beside the difference, with the layer's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from convarium.errors import times
from convarium.files import printable
from convarium.verify.unit import WEIGHTED, Unit

_Shape = tuple[int, ...]
_TOLD = 8  # sentences; the rest are counted
_KEEPS = frozenset("ReLU Sigmoid TanH Dropout dropout BatchNorm Scale LRN Softmax softmax".split())


class Doubts:
    """Follows a table from layer to layer: which shape each one sees, and what does not fit."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._said: list[str] = []
        self._shapes: dict[str, _Shape] = {}  # of every blob that was written
        self._input: str | None = None
        self._names: set[str] = set()
        self._before: _Shape | None = None

    def seen(self, entry: dict[str, Any]) -> _Shape | None:
        """The shape that a layer sees; None for the picture, and where nothing tells it.

        Raises:
            ValueError: `bottoms` is no list of names.
        """
        bottoms = entry.get("bottoms") or []
        if not isinstance(bottoms, list) or not all(isinstance(word, str) for word in bottoms):
            raise ValueError("bottoms that are no list of names")
        if not bottoms:
            return self._before
        if self._before is None:
            self._input = bottoms[0]
        return self._shapes.get(bottoms[0])

    def look(self, entry: dict[str, Any], unit: Unit, seen: _Shape | None) -> None:
        """Notes what does not follow in a layer, which is `unit` without its norm.

        Raises:
            ValueError: `top` is no name.
        """
        texts = [*_of_counts(unit), *_of_shape(entry, unit, seen), *self._of_order(entry, unit)]
        self._said += [f"{unit.name}: {text}" for text in texts]
        top = entry.get("top")
        if top is not None and not isinstance(top, str):
            raise ValueError("a top that is no name")
        if top:
            self._shapes[top] = unit.output
        self._before = unit.output

    def of_totals(self, totals: Any, pieces: Sequence[Unit]) -> None:
        """Notes totals that are not what the layers sum to; a table need not have any."""
        summed = {"params": sum(u.params for u in pieces), "macs": sum(u.macs for u in pieces)}
        for key, what in (("params", "parameters"), ("macs", "MACs")):
            said = totals.get(key) if isinstance(totals, dict) else None
            if said is not None and said != summed[key]:
                said = f"{said:,}" if isinstance(said, int) else "no number"
                self._said.append(f"its totals say {said} {what}, its layers {summed[key]:,}")

    def told(self) -> tuple[str, ...]:
        """A sentence each, the first few; none for a table that fits together."""
        texts = list(dict.fromkeys(self._said))
        sentences = [f"{self._table}, {text}." for text in texts[:_TOLD]]
        rest = len(texts) - _TOLD
        return (*sentences, *[f"{self._table}: {rest} more such contradictions."] * (rest > 0))

    def _of_order(self, entry: dict[str, Any], unit: Unit) -> Iterator[str]:
        for bottom in entry.get("bottoms") or []:
            if bottom != self._input and bottom not in self._shapes:
                yield f"it reads {printable(bottom)[:60]}, which no layer before it writes"
        if unit.name in self._names:
            yield "there are two layers of this name"
        self._names.add(unit.name)


def _of_counts(unit: Unit) -> Iterator[str]:
    """Parameters and multiply-adds that are not what the settings make."""
    s = unit.settings
    if unit.kind not in WEIGHTED or "filters" not in s:
        return
    if s["filters"] != unit.output[0]:
        yield f"{s['filters']:,} filters make {unit.output[0]:,} maps"
    if s["in"] is None:
        yield "its counts are those of no number of channels"
        return
    seen, rest = divmod(s["in"], s.get("groups", 1))
    if rest or s["filters"] % s.get("groups", 1):
        yield f"{s['groups']} groups do not divide {s['in']:,} maps and {s['filters']:,} filters"
        return
    weights = seen * prod(s.get("kernel", ())) * s["filters"]
    params, macs = weights + s["filters"] * bool(s["bias"]), weights * prod(unit.output[1:])
    for made, said, what in ((params, unit.params, "parameters"), (macs, unit.macs, "MACs")):
        if made != said:
            yield f"its settings make {made:,} {what}, it says {said:,}"


def _of_shape(entry: dict[str, Any], unit: Unit, seen: _Shape | None) -> Iterator[str]:
    """A shape that is not what the settings make of the one that the layer sees."""
    if seen is None:
        return
    made: _Shape | None = None
    if entry["type"] in _KEEPS:
        made = seen
    elif len(seen) == 3 and unit.kind in ("conv", "pool") and "kernel" in unit.settings:
        made = _slid(entry, unit, seen)
    if made is not None and made != unit.output:
        yield f"its settings make {times(made)} of {times(seen)}, it says {times(unit.output)}"


def _slid(entry: dict[str, Any], unit: Unit, seen: _Shape) -> _Shape | None:
    """What a window makes of a map; None where the settings do not say its stride."""
    s = unit.settings
    if s.get("stride") is None:
        return (unit.output[0], 1, 1)[: len(unit.output)]
    up = s.get("rounding") == "up" and entry["type"] == "Pooling"
    total = int(entry["pad_total"]) if entry["type"] == "maxpool" else None
    made = [unit.output[0] if unit.kind == "conv" else seen[0]]
    for side, kernel, stride, pad, apart in zip(
        seen[1:], s["kernel"], s["stride"], s["pad"], s.get("dilation", (1, 1)), strict=True
    ):
        padded = side + (2 * pad if total is None else total)
        over = padded - apart * (kernel - 1) - 1
        count = over // stride + 1
        if up and over % stride:
            # Caffe drops a last window that would begin in the padding.
            count += not (pad and count * stride >= side + pad)
        made.append(count)
    return tuple(made)
