"""A report as a small graph: blocks as nodes, equal blocks in a row once, the way of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from convarium.cost.listing import path_of
from convarium.cost.report import CostReport, CostRow

MOST_NODES = 36  # more are hard to take in at once
_LONGEST_REPEAT = 12  # nodes


@dataclass(frozen=True, slots=True)
class Node:
    """A block of the network: consecutive rows below one path.

    `kinds` are those of its rows, equal ones once; `params` and `macs` are of one copy where the
    block repeats. `inputs` are places of nodes in the graph.
    """

    name: str
    kinds: tuple[str, ...]
    output_shape: tuple[int, ...]
    params: int
    macs: int
    inputs: tuple[int, ...] = ()
    rows: tuple[CostRow, ...] = field(default=(), repr=False)

    @property
    def likeness(self) -> tuple[object, ...]:
        """What is equal in two copies of a block."""
        return self.kinds, self.output_shape, self.params, self.macs


@dataclass(frozen=True, slots=True)
class Repeat:
    """Nodes `first` to `last` occur `times` times in a row; `until` names the last copy's end."""

    first: int
    last: int
    times: int
    until: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in the order of the forward pass, and which of them stand for several copies."""

    nodes: tuple[Node, ...]
    repeats: tuple[Repeat, ...]


def graph_of(report: CostReport, depth: int | None = None) -> Graph:
    """The report's graph with blocks at `depth` path parts.

    At None it is the deepest that a page can hold: the one with at most `MOST_NODES` nodes.
    """
    if depth is not None:
        return _at(report, depth)
    deepest = max((row.name.count(".") + 1 for row in report.rows), default=1)
    best = _at(report, 1)
    for deeper in range(2, deepest + 1):
        finer = _at(report, deeper)
        if len(finer.nodes) > MOST_NODES:
            break
        best = finer
    return best


def _at(report: CostReport, depth: int) -> Graph:
    return _folded(_merged(_blocks(report.rows, depth)))


def _blocks(rows: Sequence[CostRow], depth: int) -> list[Node]:
    """Runs of rows below one path; rows that neither take nor give anything are left out."""
    fed = {at for row in rows for at in row.inputs}
    nodes: list[Node] = []
    paths: list[str] = []
    home: dict[int, int] = {}
    for at, row in enumerate(rows):
        if at not in fed and not row.inputs and not row.bytes_written:
            continue
        path = path_of(row.name, depth)
        inputs = tuple(dict.fromkeys(home[n] for n in row.inputs if n in home))
        if paths and paths[-1] == path:
            nodes[-1] = _with(nodes[-1], row, tuple(n for n in inputs if n != len(nodes) - 1))
        else:
            paths.append(path)
            own = Node(path, (row.kind,), row.output_shape, row.params, row.macs, inputs, (row,))
            nodes.append(own)
        home[at] = len(nodes) - 1
    return nodes


def _with(node: Node, row: CostRow, inputs: tuple[int, ...]) -> Node:
    return Node(
        node.name,
        tuple(dict.fromkeys((*node.kinds, row.kind))),
        row.output_shape,
        node.params + row.params,
        node.macs + row.macs,
        tuple(dict.fromkeys((*node.inputs, *inputs))),
        (*node.rows, row),
    )


def _merged(nodes: list[Node]) -> list[Node]:
    """Normalisations, activations and the like go into the node before them."""
    takers = [0] * len(nodes)
    for node in nodes:
        for at in node.inputs:
            takers[at] += 1
    kept: list[Node] = []
    home: dict[int, int] = {}
    for at, node in enumerate(nodes):
        inputs = tuple(dict.fromkeys(home[n] for n in node.inputs))
        alone = len(node.inputs) == 1 and takers[node.inputs[0]] == 1
        if alone and _is_small(node) and _fits(kept[inputs[0]], node):
            into = inputs[0]
            for row in node.rows:
                kept[into] = _with(kept[into], row, ())
            home[at] = into
        else:
            home[at] = len(kept)
            kept.append(replace(node, inputs=inputs))
    return kept


def _is_small(node: Node) -> bool:
    return node.macs == 0 and len(node.rows) == 1


def _fits(before: Node, node: Node) -> bool:
    """Same shape, or the same values in another shape."""
    moves_nothing = sum(row.bytes_written for row in node.rows) == 0
    return before.output_shape == node.output_shape or moves_nothing


def _folded(nodes: list[Node]) -> Graph:
    kept: list[Node] = []
    repeats: list[Repeat] = []
    home: dict[int, int] = {}
    last = {n: at for at, node in enumerate(nodes) for n in node.inputs}  # whom a node feeds last
    at = 0
    while at < len(nodes):
        length, times = _best_repeat(nodes, at, last)
        first = len(kept)
        for place in range(at, at + length):
            home[place] = len(kept)
            kept.append(replace(nodes[place], inputs=tuple(home[n] for n in nodes[place].inputs)))
        end = at + length * times
        if times > 1:
            repeats.append(Repeat(first, len(kept) - 1, times, nodes[end - 1].name))
            home.update({place: len(kept) - 1 for place in range(at + length, end)})
        at = end
    return Graph(tuple(kept), tuple(repeats))


def _best_repeat(nodes: list[Node], at: int, last: dict[int, int]) -> tuple[int, int]:
    """Length and number of the copies from `at` on that save the most nodes; (1, 1) for none."""
    best, saved = (1, 1), 0
    for length in range(1, min(_LONGEST_REPEAT, (len(nodes) - at) // 2) + 1):
        times = 1
        while _is_copy(nodes, at, at + length * times, length, last):
            times += 1
        if length * (times - 1) > saved:
            best, saved = (length, times), length * (times - 1)
    return best


def _is_copy(nodes: list[Node], at: int, again: int, length: int, last: dict[int, int]) -> bool:
    """True when the nodes from `again` on equal those from `at` on, and hang on the copy before.

    Only the copy's own nodes and the node just before it feed it, and only its last node feeds
    what is behind, so that one copy can stand for all. Towers side by side are no such copies.
    """
    if again + length > len(nodes):
        return False
    for place in range(length):
        first, other = nodes[at + place], nodes[again + place]
        if first.likeness != other.likeness:
            return False
        near = tuple(n - again for n in other.inputs)
        if min(near, default=0) < -1 or (place == 0 and -1 not in near):
            return False
        if place and near != tuple(n - at for n in first.inputs):
            return False
    inner = range(again - length, again - 1)  # of the copy before: all but its last node
    return all(last.get(n, 0) < again for n in inner)
