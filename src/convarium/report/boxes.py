"""Boxes and arrows as one SVG file that follows the reader's light or dark theme.

The file stands alone: no script, no font, no address; colours are the report's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

from convarium.report.layered import Places, place
from convarium.report.palette import HUES, TOKENS

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_LINE, _PADDING, _MARGIN, _GAP = 17, 9, 20, 30  # pixels
_WIDE, _NARROW = 7.1, 6.4  # pixels a letter: of the bold first line, of the others
_DASHES = "5 4"


@dataclass(frozen=True, slots=True)
class Box:
    """One box: `lines` of text, the first one bold; `hue` is one of the palette's series.

    `plain` boxes have no frame: where a drawing begins.
    """

    key: str
    lines: tuple[str, ...]
    hue: str
    plain: bool = False

    @property
    def width(self) -> float:
        """Width in pixels that holds the text."""
        letters = [len(line) * (_NARROW if i else _WIDE) for i, line in enumerate(self.lines)]
        return round(max(letters) + 2 * _PADDING + 8)

    @property
    def height(self) -> float:
        """Height in pixels."""
        return len(self.lines) * _LINE + 2 * _PADDING - 3


def svg(
    boxes: Sequence[Box],
    edges: Sequence[tuple[str, str]],
    *,
    title: str,
    ranks: Mapping[str, int] | None = None,
    marks: Sequence[str] = (),
) -> str:
    """The drawing as the text of an SVG file.

    Args:
        boxes: what to draw, in the order to prefer from the left.
        edges: (start, end) keys of the arrows.
        title: what it shows, read aloud in place of the picture.
        ranks: row of each box from the top, from the arrows alone when None.
        marks: a word in front of each row, such as its year.
    """
    places = place({box.key: box.width for box in boxes}, edges, ranks=ranks)
    left = _MARGIN + (max(len(mark) for mark in marks) * _WIDE + 24 if marks else 0)
    tops = _tops(boxes, places)
    width = round(left + places.width + _MARGIN)
    height = round(tops[-1] - _GAP + _MARGIN)
    parts = [
        *(_mark(mark, tops[r], tops[r + 1] - _GAP, width) for r, mark in enumerate(marks)),
        *(_arrow(edge, boxes, places, tops, left) for edge in edges),
        *(_box(box, left + places.x[box.key], tops, places.rank[box.key]) for box in boxes),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_style()}</style>",
            f'<rect class="card" width="{width}" height="{height}" rx="10"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _tops(boxes: Sequence[Box], places: Places) -> list[float]:
    """The upper edge of each row in pixels, and where another row would begin."""
    tops = [float(_MARGIN)]
    for r in range(max(places.rank.values()) + 1):
        tallest = max(box.height for box in boxes if places.rank[box.key] == r)
        tops.append(tops[-1] + tallest + _GAP)
    return tops


def _vertical(box: Box, tops: Sequence[float], r: int) -> tuple[float, float]:
    """Top and bottom of a box in the middle of its row."""
    middle = (tops[r] + tops[r + 1] - _GAP) / 2
    return middle - box.height / 2, middle + box.height / 2


def _box(box: Box, x: float, tops: Sequence[float], r: int) -> str:
    top, _ = _vertical(box, tops, r)
    frame = (
        f'<rect class="box {box.hue}" x="{x - box.width / 2:.1f}" y="{top:.1f}" '
        f'width="{box.width:.0f}" height="{box.height:.0f}" rx="7"/>'
    )
    lines = [
        f'<text class="{"small" if i else "name"}" x="{x:.1f}" '
        f'y="{top + _PADDING + 11 + i * _LINE:.1f}">{escape(line)}</text>'
        for i, line in enumerate(box.lines)
    ]
    return "".join(lines if box.plain else [frame, *lines])


def _arrow(
    edge: tuple[str, str],
    boxes: Sequence[Box],
    places: Places,
    tops: Sequence[float],
    left: float,
) -> str:
    """A line through its bends, straight down beside each row, ending in a head."""
    by_key = {box.key: box for box in boxes}
    start, end = by_key[edge[0]], by_key[edge[1]]
    first, last = places.rank[edge[0]], places.rank[edge[1]]
    points = [(left + places.x[edge[0]], _vertical(start, tops, first)[1])]
    for step, bend in enumerate(places.bends[edge], start=1):
        row = first + step
        points += [(left + bend, tops[row]), (left + bend, tops[row + 1] - _GAP)]
    points.append((left + places.x[edge[1]], _vertical(end, tops, last)[0] - 5))
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        curve = f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        path += f"V{y1:.1f}" if abs(x0 - x1) < 0.05 else curve
    x, y = points[-1]
    head = f"M{x - 4:.1f} {y - 3:.1f}L{x:.1f} {y + 5:.1f}L{x + 4:.1f} {y - 3:.1f}Z"
    return f'<path class="way" d="{path}"/><path class="head" d="{head}"/>'


def _mark(mark: str, top: float, bottom: float, width: float) -> str:
    middle = (top + bottom) / 2
    return (
        f'<path class="row" d="M{_MARGIN} {middle:.1f}H{width - _MARGIN}"/>'
        f'<text class="mark" x="{_MARGIN}" y="{middle - 5:.1f}">{escape(mark)}</text>'
    )


def _style() -> str:
    dark = f"@media (prefers-color-scheme: dark){{{_colours(1)}}}"
    still = (
        f"text{{font-family:{_FONT};font-size:12px;text-anchor:middle}}"
        ".name{font-weight:600;font-size:12.5px}"
        ".mark{text-anchor:start;font-weight:600;font-variant-numeric:tabular-nums}"
        ".way{fill:none;stroke-width:1.4}.box{stroke-width:1.4}"
        f".row{{stroke-dasharray:{_DASHES};stroke-width:1}}"
    )
    return still + _colours(0) + dark


def _colours(theme: int) -> str:
    token = {name: pair[theme] for name, pair in TOKENS.items()}
    hues = "".join(
        f".{hue}{{fill:{_mixed(token[hue], token['card'])};stroke:{token[hue]}}}" for hue in HUES
    )
    return (
        f".card{{fill:{token['card']}}}.name{{fill:{token['ink']}}}.small{{fill:{token['muted']}}}"
        f".mark{{fill:{token['muted']}}}.row{{stroke:{token['line']}}}"
        f".way{{stroke:{token['muted']}}}.head{{fill:{token['muted']}}}{hues}"
    )


def _mixed(hue: str, ground: str, part: float = 0.12) -> str:
    """The hue laid thinly over the ground: an opaque fill, so that lines pass behind boxes.

    >>> _mixed("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = ((int(hue[i : i + 2], 16), int(ground[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a * part + b * (1 - part)):02x}" for a, b in pairs)
