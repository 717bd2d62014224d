"""A network as a picture: its blocks, how they hang together, and what each of them costs."""

from __future__ import annotations

from xml.sax.saxutils import escape

from rich.cells import cell_len

from convarium.cost.graph import Graph, Node, graph_of
from convarium.cost.report import CostReport
from convarium.files import printable
from convarium.report.layers import HEIGHT, MARGIN, WIDTH, Frame, Layout, laid_out
from convarium.report.palette import TOKENS

_HEAD = 76.0  # pixels above the first node
_NAMES = ("card", "ink", "muted", "line", "soft", "s0", "s1", "page")
_BAR = 5.0
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_LINE_LETTERS, _NAME_LETTERS = 42, 22  # what fits beside nothing, and beside the MACs
_TITLE_LETTER = 10.5  # pixels, of most letters
_PLAIN_KINDS = {
    "Conv2d": "conv",
    "BatchNorm2d": "batch norm",
    "MaxPool2d": "max pool",
    "AvgPool2d": "average pool",
    "AdaptiveAvgPool2d": "average pool",
    "LocalResponseNorm": "local response norm",
    "cat": "concat",
    "LayerNorm": "layer norm",
}


def diagram(report: CostReport, depth: int | None = None) -> str:
    """The SVG of a network; light, or dark where the reader's screen is.

    A bar below a node is its share of the network's MACs (blue) and parameters (orange), all
    copies taken together.

    Args:
        report: of one network, with all its rows.
        depth: path parts of a block; the deepest that fits one page when None.
    """
    graph = graph_of(report, depth)
    layout = laid_out(graph)
    wide, high = max(layout.wide, 420.0), layout.high + _HEAD
    about = f"{report.name}: {len(graph.nodes)} blocks, {_short(report.macs)} MACs"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="network" viewBox="0 0 {wide:g} {high:g}" '
        f'width="{wide:g}" height="{high:g}" role="img" aria-label="{_escaped(about)}">',
        f"<style>{_style()}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0.6L7.4 4L0 7.4Z"/></marker></defs>',
        f'<rect class="ground" width="{wide:g}" height="{high:g}"/>',
        *_heading(report, wide),
        f'<g transform="translate({(wide - layout.wide) / 2:g} {_HEAD:g})">',
        *(_frame(frame) for frame in layout.frames),
        *(f'<path class="way" d="{way.path}" marker-end="url(#tip)"/>' for way in layout.ways),
        *_nodes(report, graph, layout),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """For XML, which has no control characters: they are written out."""
    return escape(printable(text), {'"': "&quot;"})


def _heading(report: CostReport, wide: float) -> list[str]:
    size = " x ".join(map(str, report.input_size))
    bound = "" if report.status == "exact" else "at least "
    told = f"{size}, {_short(report.params)} parameters, {bound}{_short(report.macs)} MACs"
    low, name = 62, _tail(printable(report.name), int((wide - 2 * MARGIN) / _TITLE_LETTER))
    return [
        f'<text class="title" x="{MARGIN:g}" y="28">{_escaped(name)}</text>',
        f'<text class="small" x="{MARGIN:g}" y="46">{told}</text>',
        f'<rect class="macs" x="{MARGIN:g}" y="{low - 7}" width="16" height="{_BAR:g}" rx="2"/>',
        f'<text class="small" x="{MARGIN + 22:g}" y="{low}">share of MACs</text>',
        f'<rect class="params" x="{MARGIN + 116:g}" y="{low - 7}" width="16" height="{_BAR:g}" '
        'rx="2"/>',
        f'<text class="small" x="{MARGIN + 138:g}" y="{low}">share of parameters</text>',
    ]


def _nodes(report: CostReport, graph: Graph, layout: Layout) -> list[str]:
    times = [1] * len(graph.nodes)
    for repeat in graph.repeats:
        for at in range(repeat.first, repeat.last + 1):
            times[at] = repeat.times
    drawn = []
    for node, (x, y), copies in zip(graph.nodes, layout.places, times, strict=True):
        macs = copies * node.macs / max(1, report.macs)
        params = copies * node.params / max(1, report.params)
        drawn.append(_node(node, x, y, macs, params))
    return drawn


def _node(node: Node, x: float, y: float, macs: float, params: float) -> str:
    kinds = " + ".join(_PLAIN_KINDS.get(word, word.lower().strip("_")) for word in node.kinds)
    shape = " x ".join(map(str, node.output_shape[1:])) or "1"
    cost = f"{_short(node.macs)} MACs" if node.macs else ""
    weight = f"{_short(node.params)} params" if node.params else ""
    told = f"{node.name}: {kinds}; {shape}; {node.macs:,} MACs; {node.params:,} parameters"
    right, inner = x + WIDTH - 14, WIDTH - 28
    name = _tail(printable(node.name), _NAME_LETTERS if cost else _LINE_LETTERS - 8)
    bars = [
        f'<rect class="{kind}" x="{x + 14:g}" y="{top:g}" width="{max(2.0, inner * share):.1f}" '
        f'height="3.5" rx="1.75"/>'
        for kind, share, top in (
            ("macs", macs, y + HEIGHT - 13),
            ("params", params, y + HEIGHT - 8),
        )
        if share > 0
    ]
    return (
        f'<g><title>{_escaped(told)}</title><rect class="node" x="{x:g}" y="{y:g}" '
        f'width="{WIDTH:g}" height="{HEIGHT:g}" rx="9"/>'
        f'<text class="name" x="{x + 14:g}" y="{y + 20:g}">{_escaped(name)}'
        f'</text><text class="cost" x="{right:g}" y="{y + 20:g}">{cost}</text>'
        f'<text class="small" x="{x + 14:g}" y="{y + 38:g}">{shape}</text>'
        f'<text class="small end" x="{right:g}" y="{y + 38:g}">{weight}</text>'
        f'<text class="small" x="{x + 14:g}" y="{y + 54:g}">'
        f"{_escaped(_cut(printable(kinds), _LINE_LETTERS))}</text>"
        f"{''.join(bars)}</g>"
    )


def _frame(frame: Frame) -> str:
    x, y = frame.left + frame.wide, frame.top
    until = _escaped(f"to {frame.until}")
    return (
        f'<g><title>{until}</title><rect class="frame" x="{frame.left:g}" y="{y:g}" '
        f'width="{frame.wide:g}" height="{frame.high:g}" rx="15"/>'
        f'<rect class="badge" x="{x - 52:g}" y="{y - 10:g}" width="42" height="20" rx="10"/>'
        f'<text class="times" x="{x - 31:g}" y="{y + 4:g}">&#215; {frame.times}</text></g>'
    )


def _cut(text: str, letters: int) -> str:
    """The text shortened to so many letters, of which a wide one of East Asia counts two.

    >>> _cut("conv + batch norm + relu", 12)
    'conv + ba...'
    """
    if cell_len(text) <= letters:
        return text
    while cell_len(text) > letters - 3:
        text = text[:-1]
    return f"{text}..."


def _tail(path: str, letters: int) -> str:
    """The end of a module's path, which tells more than its beginning.

    >>> _tail("inception_3a.branch_pool", 16)
    '...a.branch_pool'
    """
    if cell_len(path) <= letters:
        return path
    while cell_len(path) > letters - 3:
        path = path[1:]
    return f"...{path}"


def _short(count: int) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size * 0.9995:
            return f"{count / size:.3g} {unit}"
    return str(count)


def _style() -> str:
    """Light colours by class, dark ones by the reader's preference."""
    rules = {
        ".ground": "fill:{page}",
        ".node": "fill:{card};stroke:{line};stroke-width:1.2",
        ".frame": "fill:{soft};stroke:{line};stroke-dasharray:4 4",
        ".badge": "fill:{s0}",
        ".times": "fill:{card};font-weight:600;font-size:12px;text-anchor:middle",
        ".way": "fill:none;stroke:{muted};stroke-width:1.5",
        ".tip": "fill:{muted}",
        ".title": "fill:{ink};font-size:18px;font-weight:650",
        ".name": "fill:{ink};font-size:13px;font-weight:600",
        ".cost": "fill:{ink};font-size:12.5px;text-anchor:end",
        ".small": "fill:{muted};font-size:11.5px",
        ".macs": "fill:{s0}",
        ".params": "fill:{s1}",
    }
    blocks = []
    for dark in (False, True):
        colours = {name: TOKENS[name][dark] for name in _NAMES}
        css = "".join(f".network {key}{{{rule.format(**colours)}}}" for key, rule in rules.items())
        blocks.append(f"@media (prefers-color-scheme:dark){{{css}}}" if dark else css)
    return f".network{{font-family:{_FONT}}}.network .end{{text-anchor:end}}" + "".join(blocks)
