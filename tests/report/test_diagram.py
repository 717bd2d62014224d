"""The picture of a network: well-formed, nothing on top of anything, the same every time."""

from __future__ import annotations

import dataclasses
import itertools
import xml.etree.ElementTree as ET

import pytest
from torch import nn

import convarium
from convarium.cost.graph import graph_of
from convarium.report.cost_page import cost_page
from convarium.report.diagram import diagram
from convarium.report.layers import HEIGHT, WIDTH, laid_out

NETS = [("resnet50", 2), ("googlenet", 2), ("densenet_40_12_cifar", 2), ("lenet5", 1)]


@pytest.mark.parametrize(("name", "depth"), NETS)
def test_nodes_lie_apart_and_arrows_go_down(name: str, depth: int) -> None:
    graph = graph_of(convarium.measure_cost(name), depth)
    layout = laid_out(graph)
    for (x0, y0), (x1, y1) in itertools.combinations(layout.places, 2):
        assert abs(x0 - x1) >= WIDTH or abs(y0 - y1) >= HEIGHT
    for way in layout.ways:
        assert layout.places[way.start][1] + HEIGHT < layout.places[way.end][1]
    assert len(layout.ways) == sum(len(node.inputs) for node in graph.nodes)
    for x, y in layout.places:
        assert 0 <= x <= layout.wide - WIDTH
        assert 0 <= y <= layout.high - HEIGHT


@pytest.mark.parametrize(("name", "depth"), NETS)
def test_a_frame_holds_its_copies_alone(name: str, depth: int) -> None:
    graph = graph_of(convarium.measure_cost(name), depth)
    layout = laid_out(graph)
    for frame, repeat in zip(layout.frames, graph.repeats, strict=True):
        low = frame.top + frame.high
        inside = [n for n, (_, y) in enumerate(layout.places) if frame.top < y < low]
        assert inside == list(range(repeat.first, repeat.last + 1))


def test_towers_side_by_side_are_not_one_behind_the_other() -> None:
    """AlexNet's two start from the same picture: no copy of a chain."""
    graph = graph_of(convarium.measure_cost("alexnet_2gpu"))
    assert graph.repeats == ()
    starts = [node.name for node in graph.nodes if not node.inputs]
    assert starts == ["tower1.conv1", "tower2.conv1"]


def test_it_is_xml_with_a_node_a_block() -> None:
    report = convarium.measure_cost("resnet50")
    root = ET.fromstring(diagram(report))
    space = {"svg": "http://www.w3.org/2000/svg"}
    nodes = root.findall(".//svg:rect[@class='node']", space)
    assert len(nodes) == len(graph_of(report).nodes)
    assert "25.6 M parameters" in "".join(root.itertext())


def test_names_are_escaped() -> None:
    model = nn.Sequential()
    model.add_module("<script>&\"'", nn.Conv2d(3, 3, 1))
    report = convarium.measure_cost(model, (3, 8, 8))
    text = diagram(report)
    assert "<script>" not in text
    ET.fromstring(text)
    assert "<script>" not in cost_page([report])


def test_a_page_asks_for_nothing_and_shows_all_rows() -> None:
    reports = [convarium.measure_cost(name) for name in ("squeezenet1_1", "lenet5")]
    page = cost_page(reports)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert f"{reports[0].macs:,}" in page
    assert all(row.name in page for report in reports for row in report.rows)


def test_two_drawings_are_equal() -> None:
    first, second = (diagram(convarium.measure_cost("googlenet")) for _ in range(2))
    assert first == second


def test_long_and_wide_names_stay_in_their_boxes() -> None:
    """Beside the MACs there is room for 22 letters, for half as many of East Asia."""
    net = nn.Sequential()
    for name in ("\u5c64" * 30, "a" * 60):
        net.add_module(name, nn.Conv2d(3, 3, 3))
    report = dataclasses.replace(convarium.measure_cost(net, (3, 9, 9)), name="folder/" * 20)
    space = {"svg": "http://www.w3.org/2000/svg"}
    root = ET.fromstring(diagram(report))
    names = [text.text or "" for text in root.findall(".//svg:text[@class='name']", space)]
    assert names == [f"...{chr(0x5C64) * 9}", f"...{'a' * 19}"]
    title = root.find(".//svg:text[@class='title']", space)
    assert title is not None
    assert 20 < len(title.text or "") < 40
