"""Two networks, layer by layer: what differs, and what each difference adds to the totals.

Parameters and multiply-adds of the rows' differences sum exactly to the totals' differences: every
unit of either side is on one row, and every change of a row carries its own share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isclose
from typing import Any

from convarium.verify.align import Pair, align
from convarium.verify.initial import start_alike
from convarium.verify.unit import WEIGHTED, Side, Unit

# What can change a layer's price or shape; the first that differs carries a row's price.
STRUCTURE = (
    "filters kernel stride pad dilation groups transposed pooling window rounding border is".split()
)
_PLAIN = "activation norm_eps norm_momentum rate size k alpha beta over written function".split()
FOLLOWS = ("in", "channels", "map")  # what an earlier layer decides
_PASSED: Pair = (None, None)
_WANDERING = frozenset({"pool", "lrn", "dropout"})  # one of these left over in both has moved


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs, with its share in the row's difference (b less a)."""

    field: str
    a: Any
    b: Any
    params: int = 0
    macs: int = 0


@dataclass(frozen=True, slots=True)
class DiffRow:
    """A layer of `a` beside its partner in `b`; either is None where there is none.

    `status` is "same", "changed", "moved" (it runs at another place), "only_a" or "only_b".
    `after_a` and `after_b` name the layer that runs before it, "" at the start.
    """

    status: str
    kind: str
    a: Unit | None
    b: Unit | None
    changes: tuple[Change, ...] = ()
    after_a: str = ""
    after_b: str = ""

    @property
    def params(self) -> int:
        """Parameters of b less those of a."""
        return (self.b.params if self.b else 0) - (self.a.params if self.a else 0)

    @property
    def macs(self) -> int:
        """Multiply-adds of b less those of a."""
        return (self.b.macs if self.b else 0) - (self.a.macs if self.a else 0)

    @property
    def name(self) -> str:
        """The layer's name in a, in b where a has none."""
        unit = self.a or self.b
        return unit.name if unit else ""

    @property
    def only_follows(self) -> bool:
        """True for a layer that is the same and sees another shape."""
        return self.status == "changed" and all(c.field in FOLLOWS for c in self.changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        return {
            "status": self.status,
            "kind": self.kind,
            "a": _plain(self.a),
            "b": _plain(self.b),
            "changes": [asdict(change) for change in self.changes],
            "after_a": self.after_a,
            "after_b": self.after_b,
            "params_difference": self.params,
            "macs_difference": self.macs,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """What `convarium.diff` gives: the two sides and their layers in pairs, in order."""

    a: Side
    b: Side
    rows: tuple[DiffRow, ...]

    @property
    def params(self) -> int:
        """Parameters of b less those of a."""
        return self.b.params - self.a.params

    @property
    def macs(self) -> int:
        """Multiply-adds of b less those of a."""
        return self.b.macs - self.a.macs

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the sources do not say, and where they contradict themselves, a sentence each."""
        sides = (self.a, self.b)
        return tuple(t for side in sides for t in (*side.silent, *side.doubts))

    @property
    def differing(self) -> list[DiffRow]:
        """The rows that are not the same on both sides."""
        return [row for row in self.rows if row.status != "same"]


def difference(a: Side, b: Side) -> Difference:
    """Aligns two sides and says of every layer what differs."""
    pairs = align(a.units, b.units)
    moved = _moved(pairs, a.units, b.units)
    rows = [
        _row(a.units, i, b.units, j, moved=pair in moved)
        for pair in pairs
        for i, j in [moved.get(pair, pair)]
        if (i, j) != _PASSED
    ]
    return Difference(a, b, tuple(rows))


def _moved(pairs: Sequence[Pair], a: Sequence[Unit], b: Sequence[Unit]) -> dict[Pair, Pair]:
    """Layers left over in both that are one layer at two places.

    The earlier of the two pairs stands for both; the later one is passed over.
    """
    moved: dict[Pair, Pair] = {}
    waiting: list[Pair] = []
    for pair in pairs:
        if None not in pair:
            continue
        for other in waiting:
            i, j = (x if y is None else y for x, y in zip(pair, other, strict=True))
            if i is not None and j is not None and _is_moved(a[i], b[j]):
                waiting.remove(other)
                moved |= {other: (i, j), pair: _PASSED}
                break
        else:
            waiting.append(pair)
    return moved


def _is_moved(x: Unit, y: Unit) -> bool:
    if x.kind != y.kind:
        return False
    if x.kind in _WANDERING:
        return x.settings.get("pooling") == y.settings.get("pooling")
    equal = (x.output, x.params, x.macs) == (y.output, y.params, y.macs)
    return x.kind in WEIGHTED and equal and not any(_changed(x, y))


def _row(
    a: Sequence[Unit], i: int | None, b: Sequence[Unit], j: int | None, *, moved: bool
) -> DiffRow:
    x, y = (None if i is None else a[i]), (None if j is None else b[j])
    changes = _changes(x, y) if x and y else ()
    if x and y:
        status = "moved" if moved else "changed" if changes else "same"
    else:
        status = "only_a" if x else "only_b"
    kind = (x or y or a[0]).kind
    after = [units[at - 1].name if at else "" for units, at in ((a, i), (b, j))]
    return DiffRow(status, kind, x, y, changes, *after)


def _changes(x: Unit, y: Unit) -> tuple[Change, ...]:
    """Every setting that differs; what they add to the price sums to the pair's difference.

    A bias and a norm that one side alone has are priced by themselves. The rest goes to the first
    of the structural settings, or to what an earlier layer decides.
    """
    found = {change.field: change for change in _changed(x, y)}
    own = {"bias": (x.bias_params, y.bias_params), "norm": (x.norm_params, y.norm_params)}
    priced = {field: counts for field, counts in own.items() if field in found}
    before, behind = (
        unit.params - sum(counts[side] for counts in priced.values())
        for side, unit in enumerate((x, y))
    )
    if (before, x.macs) != (behind, y.macs):
        lead = next((f for f in (*STRUCTURE, *FOLLOWS) if f in found), "count")
        was = found.get(lead, Change("count", [before, x.macs], [behind, y.macs]))
        found[lead] = Change(was.field, was.a, was.b, behind - before, y.macs - x.macs)
    for field, (one, other) in priced.items():
        found[field] = Change(field, found[field].a, found[field].b, other - one)
    return tuple(found.values())


def _changed(x: Unit, y: Unit) -> Iterator[Change]:
    """Settings that differ, without their prices. What one source does not say is not compared."""
    s, t = x.settings, y.settings
    if s.get("norm") != t.get("norm"):
        yield Change("norm", _norm(s), _norm(t))
    for field in (*STRUCTURE, "bias", *_PLAIN, "in"):
        if field == "kernel" and "whole map" in (s.get("window"), t.get("window")):
            continue  # the map's side, which is not the pool's doing
        one, other = s.get(field), t.get(field)
        if one is not None and other is not None and not _equal(one, other):
            yield Change(field, one, other)
    for field in x.start.keys() & y.start.keys():
        if not start_alike(x.start[field], y.start[field]):
            yield Change(f"start of {field}", asdict(x.start[field]), asdict(y.start[field]))
    if len(x.output) == len(y.output):
        if x.kind not in WEIGHTED and x.channels != y.channels:
            yield Change("channels", x.channels, y.channels)
        if x.map != y.map:
            yield Change("map", x.map, y.map)


def _norm(settings: Mapping[str, Any]) -> str:
    """ "none", "batch norm, eps 0.001"."""
    eps = settings.get("norm_eps")
    return settings.get("norm", "none") + ("" if eps is None else f", eps {eps:g}")


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def _plain(unit: Unit | None) -> dict[str, Any] | None:
    return None if unit is None else {**asdict(unit), "settings": dict(unit.settings)}
