"""Blocks drawn from the papers' rows: every row is there, nothing overlaps, arrows point down."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree

import pytest

from convarium.errors import UsageError
from convarium.facts import layer_rows
from convarium.report.blocks import block_svg
from convarium.report.layered import place

SVG = "{http://www.w3.org/2000/svg}"
BLOCKS = (
    ("googlenet", "inception_3a/"),
    ("resnet50", "conv2_1/"),
    ("densenet121", "block1_1/"),
    ("fractalnet40_c4_cifar", "block1/"),
    ("squeezenet_complex_bypass", "fire2/"),
)
DIAMOND = (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"))


def frames(text: str) -> list[tuple[float, float, float, float]]:
    """x, y, width and height of each box, in pixels."""
    rects = [r for r in ElementTree.fromstring(text).iter(f"{SVG}rect") if "x" in r.attrib]
    return [
        (float(r.attrib["x"]), float(r.attrib["y"]), *(float(r.attrib[k]) for k in SIZE))
        for r in rects
    ]


SIZE = ("width", "height")


@pytest.mark.parametrize(("network", "prefix"), BLOCKS)
def test_every_row_has_its_box(network, prefix) -> None:
    rows = [row for row in layer_rows(network) if row.name.startswith(prefix)]
    assert len(frames(block_svg(network, prefix))) == len(rows)


@pytest.mark.parametrize(("network", "prefix"), BLOCKS)
def test_boxes_do_not_overlap(network, prefix) -> None:
    for (x, y, w, h), (u, v, s, t) in combinations(frames(block_svg(network, prefix)), 2):
        assert x + w <= u or u + s <= x or y + h <= v or v + t <= y


def test_both_themes_are_inside() -> None:
    assert "prefers-color-scheme: dark" in block_svg("vgg_d", "conv1")


def test_an_unknown_block_is_refused() -> None:
    with pytest.raises(UsageError, match="googlenet: no row begins with inception_9z"):
        block_svg("googlenet", "inception_9z")


def test_an_end_stands_below_all_its_starts() -> None:
    places = place(dict.fromkeys("abcd", 100.0), DIAMOND)
    assert places.rank == {"a": 0, "b": 1, "c": 1, "d": 2}


def test_neighbours_keep_the_gap() -> None:
    places = place(dict.fromkeys("abcd", 100.0), DIAMOND, gap=28)
    assert abs(places.x["b"] - places.x["c"]) >= 128


def test_a_line_over_several_rows_passes_beside_the_boxes() -> None:
    places = place(dict.fromkeys("abcd", 100.0), DIAMOND)
    (bend,) = places.bends["a", "d"]
    assert all(abs(bend - places.x[key]) > 50 for key in "bc")


def test_rows_can_be_given() -> None:
    places = place({"a": 80.0, "b": 80.0}, [("a", "b")], ranks={"a": 0, "b": 3})
    assert len(places.bends["a", "b"]) == 2
