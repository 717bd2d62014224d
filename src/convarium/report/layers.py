"""Places on the page for the nodes of a graph: layers downwards, branches side by side.

For the hundreds of equal nodes of a whole network, in one pass; `layered.py` places the few boxes
of a block with hardly a crossing, in time that grows with the square of its lines.
"""

from __future__ import annotations

from dataclasses import dataclass

from convarium.cost.graph import Graph

WIDTH, HEIGHT, ACROSS, DOWN = 292.0, 80.0, 24.0, 34.0  # of a node, and the gaps between nodes
MARGIN, LANE, FRAME = 28.0, 18.0, 13.0  # around everything; between ways at the side; around copies


@dataclass(frozen=True, slots=True)
class Way:
    """An arrow between two nodes as an SVG path."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle around the nodes of a block that repeats."""

    left: float
    top: float
    wide: float
    high: float
    times: int
    until: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Top left corners of the nodes, arrows, frames, and the size of it all, in pixels."""

    places: tuple[tuple[float, float], ...]
    ways: tuple[Way, ...]
    frames: tuple[Frame, ...]
    wide: float
    high: float


def laid_out(graph: Graph) -> Layout:
    """Each node one layer below its lowest input; no two runs give different places."""
    layers = _layers(graph)
    rows: dict[int, list[int]] = {}
    for node, layer in enumerate(layers):
        rows.setdefault(layer, []).append(node)
    broadest = max(map(len, rows.values()), default=1)
    inner = broadest * WIDTH + (broadest - 1) * ACROSS
    left: dict[int, float] = {}
    for layer in sorted(rows):
        members = sorted(rows[layer], key=lambda n: (_middle(graph, left, n), n))
        start = MARGIN + (inner - len(members) * WIDTH - (len(members) - 1) * ACROSS) / 2
        for at, node in enumerate(members):
            left[node] = start + at * (WIDTH + ACROSS)
    tops = _tops(graph, layers)
    places = tuple((left[n], tops[layers[n]]) for n in range(len(graph.nodes)))
    ways, lanes = _ways(graph, layers, places, MARGIN + inner)
    frames = tuple(_frames(graph, places))
    high = max((y + HEIGHT for _, y in places), default=0.0) + MARGIN
    return Layout(places, ways, frames, 2 * MARGIN + inner + lanes * LANE, high)


def _layers(graph: Graph) -> list[int]:
    """The longest way from the picture, in nodes; copies that are framed stay together."""
    layers: list[int] = []
    starts = {repeat.first for repeat in graph.repeats}
    ends = {repeat.last for repeat in graph.repeats}
    floor = 0
    for at, node in enumerate(graph.nodes):
        if at in starts or at - 1 in ends:
            floor = max(layers, default=-1) + 1
        layers.append(max([floor, *(layers[n] + 1 for n in node.inputs)]))
    return layers


def _tops(graph: Graph, layers: list[int]) -> list[float]:
    """The top of every layer; a frame needs more room above and below."""
    opened = {layers[repeat.first] for repeat in graph.repeats}
    closed = {layers[repeat.last] + 1 for repeat in graph.repeats}
    tops: list[float] = []
    y = MARGIN
    for layer in range(max(layers, default=-1) + 1):
        y += FRAME * ((layer in opened) + (layer in closed))
        tops.append(y)
        y += HEIGHT + DOWN
    return tops


def _middle(graph: Graph, left: dict[int, float], node: int) -> float:
    before = [left[n] for n in graph.nodes[node].inputs if n in left]
    return sum(before) / len(before) if before else 0.0


def _ways(
    graph: Graph, layers: list[int], places: tuple[tuple[float, float], ...], right: float
) -> tuple[tuple[Way, ...], int]:
    """The arrows, and how many lanes at the right side those over several layers take."""
    ways: list[Way] = []
    lanes: list[int] = []  # the last layer that each lane is taken in
    for end, node in enumerate(graph.nodes):
        for start in node.inputs:
            (x0, y0), (x1, y1) = places[start], places[end]
            if layers[end] - layers[start] == 1:
                ways.append(Way(_straight(x0, y0, x1, y1), start, end))
                continue
            free = [n for n, taken in enumerate(lanes) if taken <= layers[start]]
            lane = free[0] if free else len(lanes)
            lanes[lane : lane + 1] = [layers[end]]
            x = right + FRAME + (lane + 1) * LANE
            ways.append(Way(_around(x0, y0, x1, y1, x), start, end))
    return tuple(ways), len(lanes) + bool(lanes)


def _straight(x0: float, y0: float, x1: float, y1: float) -> str:
    a, b, half = x0 + WIDTH / 2, x1 + WIDTH / 2, (y1 - y0 - HEIGHT) / 2
    top = y0 + HEIGHT
    return f"M{a:g} {top:g}C{a:g} {top + half:g} {b:g} {y1 - half:g} {b:g} {y1 - 2:g}"


def _around(x0: float, y0: float, x1: float, y1: float, x: float) -> str:
    """Out at the right, down a lane, and in at the right."""
    a, b, r = x0 + WIDTH, x1 + WIDTH, 10.0
    top, low = y0 + HEIGHT / 2, y1 + HEIGHT / 2
    return (
        f"M{a:g} {top:g}H{x - r:g}Q{x:g} {top:g} {x:g} {top + r:g}"
        f"V{low - r:g}Q{x:g} {low:g} {x - r:g} {low:g}H{b + 2:g}"
    )


def _frames(graph: Graph, places: tuple[tuple[float, float], ...]) -> list[Frame]:
    frames = []
    for repeat in graph.repeats:
        inside = places[repeat.first : repeat.last + 1]
        left = min(x for x, _ in inside) - FRAME
        top = min(y for _, y in inside) - FRAME
        right = max(x for x, _ in inside) + WIDTH + FRAME
        low = max(y for _, y in inside) + HEIGHT + FRAME
        frames.append(Frame(left, top, right - left, low - top, repeat.times, repeat.until))
    return frames
