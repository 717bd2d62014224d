"""Layer tables with one error each: the difference names it, and the table's own doubts do.

The tables are made here, layer by layer, by the arithmetic of Caffe's definitions.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from convarium.errors import InputError
from convarium.verify.diff_summary import summary
from convarium.verify.difference import Difference, difference
from convarium.verify.layer_table import read_table

Entry = dict[str, Any]
INPUT = (3, 67, 67)
# A small AlexNet: name, type, settings.
LAYERS: tuple[tuple[str, str, Entry], ...] = (
    ("conv1", "Convolution", {"out_ch": 16, "kernel": 7, "stride": 2, "pad": 0}),
    ("relu1", "ReLU", {}),
    ("norm1", "LRN", {"local_size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0}),
    ("pool1", "Pooling", {"pool": "MAX", "kernel": 3, "stride": 2, "pad": 0, "rounding": "ceil"}),
    ("conv2", "Convolution", {"out_ch": 32, "kernel": 5, "stride": 1, "pad": 2, "group": 2}),
    ("relu2", "ReLU", {}),
    ("pool2", "Pooling", {"pool": "MAX", "kernel": 2, "stride": 2, "pad": 0, "rounding": "ceil"}),
    ("fc3", "InnerProduct", {"out_ch": 24}),
    ("drop3", "Dropout", {"ratio": 0.5}),
    ("fc4", "InnerProduct", {"out_ch": 10}),
)


def table(*, follow: bool = True, **errors: Entry) -> Entry:
    """The table with other settings in the layers named; counts and shapes follow them or not."""
    layers, right, wrong = [], INPUT, INPUT
    bottom = "data"
    for name, kind, own in LAYERS:
        settings = {"bias": True, "group": 1} | own if kind == "Convolution" else own
        told = settings | errors.get(name, {})
        entry = {"name": name, "type": kind, "bottoms": [bottom], "top": name}
        right_counts, right = counted(kind, settings, right)
        wrong_counts, wrong = counted(kind, told, wrong)
        layers.append(entry | told | (wrong_counts if follow else right_counts))
        bottom = name
    sums = {key: sum(layer[key] for layer in layers) for key in ("params", "macs")}
    return {"layers": layers, "totals": sums}


def counted(kind: str, s: Entry, seen: tuple[int, ...]) -> tuple[Entry, tuple[int, ...]]:
    """Shape, parameters and multiply-adds of a layer that sees `seen`."""
    out, weights = seen, 0
    if kind == "InnerProduct":
        out, weights = (s["out_ch"],), math.prod(seen) * s["out_ch"]
    elif "kernel" in s:
        rounded = math.ceil if s.get("rounding") == "ceil" else math.floor
        side = rounded((seen[1] + 2 * s["pad"] - s["kernel"]) / s["stride"]) + 1
        out = (s.get("out_ch", seen[0]), side, side)
    if kind == "Convolution":
        weights = seen[0] // s["group"] * s["kernel"] ** 2 * out[0]
    bias = s.get("out_ch", 0) if s.get("bias", True) else 0
    macs = weights * math.prod(out[1:])
    return {"out_shape": list(out), "params": weights + bias, "macs": macs}, out


def diff(folder: Path, wrong: Entry) -> Difference:
    for name, held in (("right", table()), ("wrong", wrong)):
        (folder / f"{name}.json").write_text(json.dumps(held), "utf-8")
    return difference(*(read_table(folder / f"{name}.json") for name in ("right", "wrong")))


ERRORS = (
    ("conv2", {"kernel": 3}, "conv2: 5x5 -> 3x3"),
    ("conv1", {"stride": 1}, "conv1: stride 2 -> 1"),
    ("conv2", {"pad": 1}, "conv2: pad 2 -> 1"),
    ("conv2", {"group": 1}, "conv2: 2 -> 1 groups: +6,400 parameters"),
    ("conv2", {"bias": False}, "conv2: bias -> no bias: -32 parameters"),
    ("conv2", {"out_ch": 30}, "conv2: 32 -> 30 filters"),
    ("norm1", {"alpha": 5e-4}, "norm1: alpha 2e-05 -> 0.0001 times the sum of squares"),
    ("norm1", {"beta": 0.5}, "norm1: beta 0.75 -> 0.5"),
    ("norm1", {"k": 2}, "norm1: k 1 -> 2"),
    ("norm1", {"local_size": 3}, "norm1: over 5 -> 3 maps"),
    ("drop3", {"ratio": 0.4}, "drop3: rate 0.5 -> 0.4"),
    ("pool2", {"rounding": "floor"}, "pool2: rounding up -> down"),
    ("pool1", {"pool": "AVE"}, "pool1: max -> average pooling"),
    ("fc3", {"out_ch": 25}, "fc3: 24 -> 25 outputs"),
)


@pytest.mark.parametrize(("layer", "error", "words"), ERRORS)
def test_an_error_is_named_at_its_layer(layer, error, words: str, tmp_path: Path) -> None:
    """Where the counts follow it, and where they were left as they stood."""
    for follow in (True, False):
        wrong = table(follow=follow, **{layer: error})
        found = diff(tmp_path, wrong)
        sums = {key: wrong["totals"][key] - table()["totals"][key] for key in ("params", "macs")}
        assert (found.params, found.macs) == (sums["params"], sums["macs"])
        lines = summary(found)
        for told in (found.rows, lines):
            assert sum(one.params for one in told) == sums["params"]
            assert sum(one.macs for one in told) == sums["macs"]
        starts = words if follow else words.partition(": +")[0].partition(": -")[0]
        assert any(str(line).startswith(starts) for line in lines)
        assert {name for line in lines for name in line.layers} == {layer}
        assert follow <= (not found.b.doubts)


def edited(place: str, **values: Any) -> Entry:
    wrong = table()
    next(layer for layer in wrong["layers"] if layer["name"] == place).update(values)
    return wrong


def without(name: str) -> Entry:
    wrong = table()
    return wrong | {"layers": [layer for layer in wrong["layers"] if layer["name"] != name]}


def with_two(name: str) -> Entry:
    wrong = table()
    place = [layer["name"] for layer in wrong["layers"]].index(name)
    wrong["layers"].insert(place, wrong["layers"][place])
    return wrong


def swapped(first: str, second: str) -> Entry:
    wrong = table()
    places = {layer["name"]: place for place, layer in enumerate(wrong["layers"])}
    i, j = places[first], places[second]
    wrong["layers"][i], wrong["layers"][j] = wrong["layers"][j], wrong["layers"][i]
    return wrong


WEIGHTS_1, WEIGHTS_2 = 3 * 49 * 16, 8 * 25 * 32
SIDE_1, SIDE_2 = 31, 15  # (67 - 7) / 2 + 1; (31 - 3) / 2 + 1
DOUBTS = (
    (edited("conv2", params=9), f"conv2: its settings make {WEIGHTS_2 + 32:,} parameters, it says"),
    (
        edited("conv1", macs=5),
        f"conv1: its settings make {WEIGHTS_1 * SIDE_1**2:,} MACs, it says 5",
    ),
    (edited("conv1", kernel=9), "conv1: its counts are those of no number of channels"),
    (edited("conv2", kernel=3), f"its settings make 32x{SIDE_2 + 2}x{SIDE_2 + 2} of 16x15x15"),
    (edited("conv2", group=3), "conv2: 3 groups do not divide 16 maps and 32 filters"),
    (edited("conv2", out_ch=31), "conv2: 31 filters make 32 maps"),
    (edited("pool2", stride=1), f"pool2: its settings make 32x{SIDE_2 - 1}x{SIDE_2 - 1} of"),
    (edited("drop3", out_shape=[23]), "drop3: its settings make 24 of 24, it says 23"),
    (without("pool1"), "conv2: it reads pool1, which no layer before it writes"),
    (with_two("conv2"), "conv2: there are two layers of this name"),
    (swapped("fc3", "fc4"), "fc4: it reads drop3, which no layer before it writes"),
    (table() | {"totals": {"params": 7}}, "its totals say 7 parameters, its layers"),
)


@pytest.mark.parametrize(("wrong", "words"), DOUBTS)
def test_a_table_that_contradicts_itself_says_where(wrong, words: str, tmp_path: Path) -> None:
    found = diff(tmp_path, wrong)
    assert not found.a.doubts
    assert any(words in doubt for doubt in found.b.doubts)
    assert sum(row.params for row in found.rows) == found.params
    assert found.b.doubts[0] in found.remarks


def test_a_count_that_no_setting_explains_is_named_at_its_layer(tmp_path: Path) -> None:
    (line,) = summary(diff(tmp_path, edited("conv1", macs=5)))
    macs = WEIGHTS_1 * SIDE_1**2
    assert (line.layers, line.macs) == (["conv1"], 5 - macs)
    assert line.what == f"{macs:,} -> 5 MACs that its settings do not explain"


def test_layers_in_another_order_are_named(tmp_path: Path) -> None:
    lines = summary(diff(tmp_path, swapped("fc3", "fc4")))
    assert {name for line in lines for name in line.layers} >= {"fc3", "fc4"}


GARBAGE = (
    ({"kernel": "7"}, "a side of '7'"),
    ({"kernel": [7, 7, 7]}, "a side of no number"),
    ({"stride": 0}, "a stride of 0"),
    ({"pad": -1}, "a pad of -1"),
    ({"group": -1}, "group of -1"),
    ({"group": 0}, "group of 0"),
    ({"bias": "no"}, "'no' as bias"),
    ({"out_ch": 10**400}, r"out_ch of 1000000.*\.\."),
    ({"params": math.inf}, "a count of inf"),
    ({"params": 2368.5}, "a count of 2368.5"),
    ({"macs": True}, "a count of True"),
    ({"out_shape": "955"}, "sides of '955'"),
    ({"bottoms": 7}, "bottoms that are no list of names"),
    ({"top": [1]}, "a top that is no name"),
    ({"type": "Pooling", "pool": "MAX", "rounding": "nearest"}, "'nearest' as rounding"),
    ({"type": "LRN", "local_size": 0}, "local_size of 0"),
    ({"type": "Dropout", "ratio": 1.5}, "a ratio of 1.5"),
)


@pytest.mark.parametrize(("values", "words"), GARBAGE)
def test_what_is_no_value_of_its_key_is_refused(values, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"layer 'conv1' lacks or garbles {words}, which"):
        diff(tmp_path, edited("conv1", **values))


def test_a_name_cannot_move_the_cursor(tmp_path: Path) -> None:
    found = diff(tmp_path, edited("fc4", name="\x1b[2J", type="\x1b[1m"))
    assert "\\x1b[2j" in found.b.units[-1].name.lower()
    assert all(unit.kind.isprintable() and unit.name.isprintable() for unit in found.b.units)


def test_a_table_of_too_many_layers_is_refused(tmp_path: Path) -> None:
    many = {"layers": table()["layers"] * 1001}
    with pytest.raises(InputError, match="has 10,010 layers; 10,000 are read at most"):
        diff(tmp_path, many)


@pytest.mark.data
def test_the_authors_tables_contradict_themselves_nowhere(shared_data: Path) -> None:
    paths = sorted((shared_data / "layer-tables").glob("*.json"))
    assert paths
    assert not [doubt for path in paths for doubt in read_table(path).doubts]
