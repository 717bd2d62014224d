"""Which layers of a network each row of a paper's table speaks of.

Names help where they agree, but a paper's "pool5" may be our "pool3". So rows are paired in turns:
a layer of the same name that is what the row says; in a block, a layer that is what the row says
and has no name in common; then, in the order of both, layers that are what the rows say; and last,
so that a difference is shown beside what it differs from, by name alone, and by kind in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher

from convarium.facts import LayerRow
from convarium.verify.network import Layer
from convarium.verify.words import JOINS, LAYERS, bare, said, seen

Pairs = dict[str, tuple[Layer, ...]]


def match(rows: Sequence[LayerRow], layers: Iterable[Layer]) -> list[tuple[Layer, ...]]:
    """For each row the layers of ours that it speaks of: one, its pieces in two towers, or none."""
    pool = _Pool([x for x in layers if x.kind in (*LAYERS, *JOINS)])
    pairs: Pairs = {}

    def turn(take: Callable[[LayerRow], tuple[Layer, ...]]) -> None:
        for row in sorted(rows, key=lambda row: -row.name.count("/")):
            if not pairs.get(row.name):
                pairs[row.name] = pool.claim(take(row))

    turn(lambda row: _if_same(row, pool.named(row)))
    turn(lambda row: () if pool.named(row) else pool.same_in_block(row))
    for row, layer in pool.same_in_order([row for row in rows if not pairs[row.name]]):
        pairs[row.name] = pool.claim((layer,))
    turn(pool.named)
    turn(pool.alike)
    return [pairs[row.name] for row in rows]


class _Pool:
    """The layers of ours that no row has claimed yet."""

    def __init__(self, layers: list[Layer]) -> None:
        self.free = {x.key: x for x in layers}
        self._holding: dict[str, list[Layer]] = defaultdict(list)  # by each part of the path
        for x in layers:
            for part in set(x.name.lower().split(".")):
                self._holding[part].append(x)

    def named(self, row: LayerRow) -> tuple[Layer, ...]:
        """The free layer whose path holds the row's, with the fewest parts beside it.

        "fire2/squeeze1x1" is any "...fire2.squeeze1x1". A join has no module: its block's path and
        its operator are looked for.
        """
        parts = _parts(row)[:-1] if row.kind in JOINS else _parts(row)
        if not parts:
            return ()
        path = f".{'.'.join(parts)}."
        rarest = min((self._holding.get(part, []) for part in parts), key=len)
        near = [x for x in rarest if x.key in self.free and _kin(row, x)]
        fits = [x for x in near if path in f".{x.name.lower()}."]
        least = min((x.name.count(".") for x in fits), default=0)
        named = [x for x in fits if x.name.count(".") == least]
        return tuple(named if _are_towers(named) else named[:1])

    def same_in_block(self, row: LayerRow) -> tuple[Layer, ...]:
        """The first free layer of the row's block that is what the row says."""
        block, *inner = _parts(row)
        among = self._holding.get(block, []) if inner else []
        return tuple([x for x in among if x.key in self.free and _is_same(row, x)][:1])

    def same_in_order(self, rows: list[LayerRow]) -> list[tuple[LayerRow, Layer]]:
        """Free layers that are what the rows say, in the order of both."""
        free = list(self.free.values())
        theirs, ours = [said(row, pads=False) for row in rows], [bare(x) for x in free]
        blocks = SequenceMatcher(None, theirs, ours, autojunk=False).get_matching_blocks()
        return [
            (rows[block.a + i], free[block.b + i]) for block in blocks for i in range(block.size)
        ]

    def alike(self, row: LayerRow) -> tuple[Layer, ...]:
        """The first free layer of the row's kind, and its twin in the other tower.

        One that is just what the row says is left alone: it stands at another place.
        """
        kin = (x for x in self.free.values() if x.kind == row.kind)
        first = next((x for x in kin if not _is_same(row, x)), None)
        if first is None:
            return ()
        last = first.name.rpartition(".")[2]
        twins = [x for x in self.free.values() if x.name.rpartition(".")[2] == last]
        return tuple(twins) if _are_towers(twins) else (first,)

    def claim(self, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        """Takes layers out of the free ones."""
        for layer in layers:
            del self.free[layer.key]
        return layers


def _parts(row: LayerRow) -> list[str]:
    return row.name.lower().split("/")


def _kin(row: LayerRow, layer: Layer) -> bool:
    """A join is held to a join of its kind; a layer to any layer, so that a kind can differ."""
    if row.kind in JOINS or layer.kind in JOINS:
        return row.kind == layer.kind
    return True


def _are_towers(layers: list[Layer]) -> bool:
    """True for pieces of one layer that lie side by side: tower1.conv2 and tower2.conv2."""
    return len(layers) > 1 and all(x.name.startswith("tower") for x in layers)


def _is_same(row: LayerRow, layer: Layer) -> bool:
    return said(row) == seen(row, (layer,))


def _if_same(row: LayerRow, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return layers if layers and said(row) == seen(row, layers) else ()
