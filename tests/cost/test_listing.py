"""Rows joined, sorted and cut still add up to the totals, and keep what feeds them."""

from __future__ import annotations

import csv
import io

import jsonschema
import pytest

import convarium
from convarium.cost import formats
from convarium.cost.graph import graph_of
from convarium.cost.listing import REPORT_KEYS, ROW_KEYS, View
from convarium.errors import UsageError

SUMS = ("params", "macs", "macs_backward", "bytes_read", "bytes_written")
VIEWS = [
    View(depth=1),
    View(depth=2),
    View(depth=2, sort="macs"),
    View(top=3),
    View(depth=1, sort="intensity", top=2),
    View(sort="receptive_field"),
    View(sort="name", top=1),
]


@pytest.fixture(scope="module")
def report():
    return convarium.measure_cost("squeezenet1_1", training=True)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_every_view_adds_up(report, view: View) -> None:
    shown = view.of(report)
    for key in SUMS:
        assert sum(getattr(row, key) for row in shown.rows) == getattr(report, key)
    assert (shown.params, shown.macs) == (report.params, report.macs)
    assert all(at < len(shown.rows) for row in shown.rows for at in row.inputs)


def test_a_module_is_one_row(report) -> None:
    """fire2 has 64 -> 16 (1x1), 16 -> 64 (1x1) and 16 -> 64 (3x3) filters on 56 x 56 maps."""
    rows = {row.name: row for row in View(depth=2).of(report).rows}
    fire = rows["features.fire2"]
    assert fire.macs == 56 * 56 * (64 * 16 + 16 * 64 + 16 * 64 * 9)
    assert fire.output_shape == (1, 128, 56, 56)
    names = list(rows)
    assert [names[at] for at in fire.inputs] == ["features.maxpool1"]


def test_largest_first(report) -> None:
    macs = [row.macs for row in View(sort="macs").of(report).rows]
    assert macs == sorted(macs, reverse=True)


def test_columns_without_a_number_come_last(report) -> None:
    fields = [row.receptive_field for row in View(sort="receptive_field").of(report).rows]
    assert fields[0] == 207
    assert fields[-1] is None


@pytest.mark.parametrize("several", [False, True])
def test_an_unknown_column_is_refused(several: bool) -> None:
    with pytest.raises(UsageError, match="Did you mean macs"):
        View(sort="mac").check(several=several)


def test_networks_side_by_side() -> None:
    small, large = (convarium.measure_cost(name) for name in ("lenet5", "resnet20_cifar"))
    shown = View(sort="macs", top=1).of_all([small, large])
    assert [report.name for report in shown] == ["resnet20_cifar"]


def test_json_is_what_the_schema_says(report) -> None:
    jsonschema.Draft202012Validator.check_schema(formats.schema())
    one = {"schema": "convarium/1", **plain(report)}
    jsonschema.validate(one, formats.schema())
    jsonschema.validate({"schema": "convarium/1", "models": [plain(report)]}, formats.schema())
    one["rows"][0]["macs"] = -1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(one, formats.schema())


def test_the_schema_describes_every_key(report) -> None:
    definitions = formats.schema()["$defs"]
    assert set(definitions["report"]["properties"]) == set(report.to_dict())
    assert set(definitions["row"]["properties"]) == set(report.to_dict()["rows"][0])


def plain(report) -> dict:
    """As a reader of the JSON gets it: lists in place of tuples."""
    import json

    return json.loads(json.dumps(report.to_dict()))


def test_csv_keeps_exact_numbers(report) -> None:
    lines = list(csv.DictReader(io.StringIO(formats.as_csv([report]))))
    assert tuple(lines[0]) == ROW_KEYS
    assert sum(int(line["macs"]) for line in lines) == report.macs
    assert lines[0]["output_shape"] == "x".join(map(str, report.rows[0].output_shape))


def test_csv_of_several_networks(report) -> None:
    lines = list(csv.DictReader(io.StringIO(formats.as_csv([report, report]))))
    assert tuple(lines[0]) == (*REPORT_KEYS, "unknown_ops")
    assert [int(line["params"]) for line in lines] == [report.params] * 2


def test_markdown_escapes_its_own_marks() -> None:
    text = formats.as_markdown(["a", "b"], [["x|y", "1"]], "lr")
    assert text == "| a | b |\n| :-- | --: |\n| x\\|y | 1 |\n"


def test_a_graph_folds_equal_blocks() -> None:
    """ResNet-50 has stages of 3, 4, 6 and 3 blocks; the first of each differs from the others."""
    graph = graph_of(convarium.measure_cost("resnet50"), depth=2)
    assert [repeat.times for repeat in graph.repeats] == [2, 3, 5, 2]
    times = dict.fromkeys(range(len(graph.nodes)), 1)
    times |= {repeat.first: repeat.times for repeat in graph.repeats}
    total = sum(times[at] * node.macs for at, node in enumerate(graph.nodes))
    assert total == convarium.model_facts("resnet50").macs.exact


def test_a_graph_has_the_ways_of_the_network() -> None:
    """A module of GoogLeNet: four branches from one map, joined again."""
    graph = graph_of(convarium.measure_cost("googlenet"), depth=2)
    names = [node.name for node in graph.nodes]
    join = graph.nodes[names.index("inception_3a.cat")]
    branches = [names[at] for at in join.inputs]
    assert branches == [f"inception_3a.branch{b}" for b in ("1x1", "3x3", "5x5", "_pool")]
    sources = {graph.nodes[at].inputs for at in join.inputs}
    assert sources == {(names.index("stem.pool2"),)}


def test_a_block_that_others_look_into_is_not_folded() -> None:
    """Each dense layer's maps go to all later ones: no copy stands for another."""
    graph = graph_of(convarium.measure_cost("densenet_40_12_cifar"), depth=3)
    inner = [r for r in graph.repeats if "dense_block" in graph.nodes[r.first].name]
    assert inner == []
