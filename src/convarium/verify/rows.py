"""Typed rows against traced layers, one verdict a row of the paper's table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import prod

from convarium.facts import LayerRow, difference_reason
from convarium.verify.network import Layer, Network
from convarium.verify.verdict import Verdict

_WINDOWS = ("conv", "max_pool", "avg_pool", "subsample")
_LAYERS = (*_WINDOWS, "linear", "lrn", "rbf", "global_avg_pool")
_JOINS = ("add", "concat", "mean")


def row_verdicts(net: Network, rows: Sequence[LayerRow]) -> list[Verdict]:
    """One verdict a typed row, and one for the layers of ours that no row speaks of."""
    matches = match(rows, net.layers)
    verdicts = [_verdict(net.name, row, ours) for row, ours in zip(rows, matches, strict=True)]
    spoken = {layer.name for ours in matches for layer in ours}
    beside = [x.name for x in net.layers if x.kind in _LAYERS and x.name not in spoken]
    fact = "layers beside the rows of the table"
    reason = difference_reason(net.name, fact) if beside else None
    where, confidence = (rows[0].where, rows[0].confidence) if rows else ("", "sourced")
    word = "DIFFERS" if beside else "AGREES"
    verdicts.append(
        Verdict(
            net.name, fact, "none", ", ".join(beside) or "none", word, reason, where, confidence
        )
    )
    return verdicts


def match(rows: Sequence[LayerRow], layers: Iterable[Layer]) -> list[tuple[Layer, ...]]:
    """For each row the layers of ours that it speaks of: one, or its pieces in two towers.

    First by name, "fire2/squeeze1x1" being any "...fire2.squeeze1x1", the longest names first.
    Then, in a block of the same name, by what the layers are; then by kind, in order.
    """
    pool = _Pool([x for x in layers if x.kind in (*_LAYERS, *_JOINS)])
    found: dict[str, tuple[Layer, ...]] = {}
    for row in sorted(rows, key=lambda row: -row.name.count("/")):
        found[row.name] = pool.take_named(row)
    left = [row for row in rows if not found[row.name]]
    for fits, in_block in ((_is_same, True), (_is_same, False), (_is_alike, False)):
        for row in left:
            if not found[row.name]:
                found[row.name] = pool.take_first(row, fits, in_block=in_block)
    return [found[row.name] for row in rows]


class _Pool:
    """The layers of ours that no row has claimed yet."""

    def __init__(self, layers: list[Layer]) -> None:
        self.free = {x.name: x for x in layers}
        self._holding: dict[str, list[Layer]] = defaultdict(list)  # by each part of the path
        for x in layers:
            for part in set(x.name.lower().split(".")):
                self._holding[part].append(x)

    def take_named(self, row: LayerRow) -> tuple[Layer, ...]:
        """The layers whose path holds the row's, with the fewest parts beside it."""
        parts = _path(row).split(".")
        if row.kind in _JOINS:  # a join has no module: its block's path, then the operator
            parts = parts[:-1]
        if not parts:
            return ()
        path = f".{'.'.join(parts)}."
        rarest = min((self._holding.get(part, []) for part in parts), key=len)
        free = [x for x in rarest if x.name in self.free]
        fits = [x for x in free if path in f".{x.name.lower()}." and _kin(row, x)]
        least = min((x.name.count(".") for x in fits), default=0)
        named = [x for x in fits if x.name.count(".") == least]
        return self._claim(named if _are_towers(named) else named[:1])

    def take_first(
        self, row: LayerRow, fits: Callable[[LayerRow, Layer], bool], *, in_block: bool
    ) -> tuple[Layer, ...]:
        """The first free layer that fits, and its twin in the other tower."""
        block = _path(row).partition(".")[0]
        among = self._holding.get(block, []) if in_block else self.free.values()
        first = next((x for x in among if x.name in self.free and fits(row, x)), None)
        if first is None:
            return ()
        last = first.name.rpartition(".")[2]
        twins = [x for x in self.free.values() if x.name.rpartition(".")[2] == last]
        return self._claim(twins if _are_towers(twins) else [first])

    def _claim(self, layers: list[Layer]) -> tuple[Layer, ...]:
        for layer in layers:
            del self.free[layer.name]
        return tuple(layers)


def _path(row: LayerRow) -> str:
    return row.name.replace("/", ".").lower()


def _kin(row: LayerRow, layer: Layer) -> bool:
    """A join is held to a join of its kind; a layer to any layer, so that a kind can differ."""
    if row.kind in _JOINS or layer.kind in _JOINS:
        return row.kind == layer.kind
    return True


def _are_towers(layers: list[Layer]) -> bool:
    """True for pieces of one layer that lie side by side: tower1.conv2 and tower2.conv2."""
    return len(layers) > 1 and all(x.name.startswith("tower") for x in layers)


def _is_alike(row: LayerRow, layer: Layer) -> bool:
    return row.kind == layer.kind


def _is_same(row: LayerRow, layer: Layer) -> bool:
    return row.kind == layer.kind and _said(row) == _seen(row, (layer,))


def _verdict(model: str, row: LayerRow, ours: tuple[Layer, ...]) -> Verdict:
    fact = f"row {row.name}"
    said = _said(row)
    seen = _seen(row, ours) if ours else None
    word = "AGREES" if said == seen else "DIFFERS"
    reason = difference_reason(model, fact) if word == "DIFFERS" else None
    shown = seen if seen == said or not ours else f"{seen} ({ours[0].name})"
    return Verdict(model, fact, said, shown, word, reason, row.where, row.confidence)


def _said(row: LayerRow) -> str:
    """The row in words: what its source prints and what follows from it."""
    window = row.kind in _WINDOWS
    return _words(
        kind=row.kind,
        kernel=row.kernel if window else None,
        stride=row.stride if window else None,
        pad=row.pad if window else None,
        groups=row.groups,
        output=_shape(row.output),
        params=row.params,
        macs=row.macs,
    )


def _seen(row: LayerRow, layers: tuple[Layer, ...]) -> str:
    """Our layer in the same words; what the row does not print is left out of both."""
    first = layers[0]
    window = first.kind in _WINDOWS
    several = len(layers) > 1
    split = several and first.kind == "conv" and row.groups > 1
    output = _shape(first.output)
    if several and output:
        output = (sum(x.output[0] for x in layers), *output[1:])
    return _words(
        kind=first.kind,
        kernel=first.kernel if window and row.kernel is not None else None,
        stride=first.stride if window and row.stride is not None else None,
        pad=first.pad if window and row.pad is not None else None,
        groups=sum(x.groups for x in layers) if split else first.groups,
        output=output,
        params=sum(x.params for x in layers),
        macs=sum(x.macs for x in layers),
    )


def _shape(output: tuple[int, ...]) -> tuple[int, ...]:
    """1x1 maps are values in a row: (1000, 1, 1) is (1000,)."""
    return (prod(output),) if output[1:] in ((1, 1), ()) else tuple(output)


def _words(
    *,
    kind: str,
    kernel: int | None,
    stride: int | None,
    pad: int | None,
    groups: int,
    output: tuple[int, ...],
    params: int,
    macs: int,
) -> str:
    """ "conv 3x3/1 pad 1 -> 64x224x224; 1,792 params, 86,704,128 MACs"."""
    window = "" if kernel is None else f" {kernel}x{kernel}/{stride}"
    padding = "" if pad is None else f" pad {pad}"
    grouping = "" if groups == 1 else f" groups {groups}"
    counts = f"; {params:,} params, {macs:,} MACs" if params or macs else ""
    return f"{kind}{window}{padding}{grouping} -> {'x'.join(map(str, output))}{counts}"
