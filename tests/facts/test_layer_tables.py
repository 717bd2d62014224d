"""The rows against the authors' own definitions, row by row, where they agree and where not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convarium.facts import LayerRow, layer_rows, rows_totals

pytestmark = pytest.mark.data
KINDS = {
    "Convolution": "conv",
    "convolutional": "conv",
    "InnerProduct": "linear",
    "LRN": "lrn",
    "Concat": "concat",
    "Eltwise": "add",
    "avgpool": "global_avg_pool",
    "maxpool": "max_pool",
}
# What a row shows and the table does not: (field, ours, theirs), each with its reason.
KNOWN: dict[str, set[tuple[str, str, Any, Any]]] = {
    "resnet50": {
        # The released prototxt gives conv1 a bias; batch normalisation makes it void.
        ("conv1", "params", 9408, 9472),
        # Rounding up without a pad gives 56 too (Caffe).
        ("pool1", "pad", 1, 0),
        # The table's 7x7 average pool is the global one.
        ("avgpool", "kind", "global_avg_pool", "avg_pool"),
        ("avgpool", "kernel", None, 7),
        ("avgpool", "stride", None, 1),
        ("avgpool", "pad", None, 0),
    },
    "densenet121": {
        # The classifier is written as a 1x1 convolution over the one pixel.
        ("fc", "kind", "linear", "conv"),
        ("fc", "kernel", None, 1),
        ("fc", "stride", None, 1),
        ("fc", "pad", None, 0),
        ("fc", "output", (1000,), (1000, 1, 1)),
    },
    "extraction": set(),
}


def same(name: str) -> str:
    return name


def resnet_name(name: str) -> str:
    """conv4_6/conv2 -> res4f_branch2b, its shortcut -> res4f_branch1, its sum -> res4f."""
    if "/" not in name:
        return {"avgpool": "pool5", "fc": "fc1000"}.get(name, name)
    block, layer = name.split("/")
    stage, number = block.removeprefix("conv").split("_")
    ends = {"conv1": "_branch2a", "conv2": "_branch2b", "conv3": "_branch2c"}
    ends |= {"shortcut": "_branch1", "add": ""}
    return f"res{stage}{chr(ord('a') + int(number) - 1)}{ends[layer]}"


def densenet_name(name: str) -> str:
    """block1_6/conv2 -> conv2_6/x2, its concat -> concat_2_6, transition1/conv -> conv2_blk."""
    if "/" not in name:
        return {"avgpool": "pool5", "fc": "fc6"}.get(name, name)
    block, layer = name.split("/")
    if block.startswith("transition"):
        stage = int(block.removeprefix("transition")) + 1
        return {"conv": f"conv{stage}_blk", "pool": f"pool{stage}"}[layer]
    stage, number = block.removeprefix("block").split("_")
    place = f"{int(stage) + 1}_{number}"
    return {"concat": f"concat_{place}"}.get(layer, f"conv{place}/x{layer[-1]}")


TABLES = {
    "alexnet_2gpu": ("alexnet-2group-bvlc", same),
    "lenet_caffe": ("lenet-caffe", same),
    "resnet50": ("resnet50-author", resnet_name),
    "squeezenet1_1": ("squeezenet1.1-author", same),
    "densenet121": ("densenet121-caffe", densenet_name),
}


def read(folder: Path, stem: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(
        (folder / "layer-tables" / f"{stem}.json").read_text("utf-8")
    )
    return table


def kind_of(layer: dict[str, Any]) -> str | None:
    """Our word for a table's layer; None where the rows have none (batch norm, ReLU, ...)."""
    if layer["type"] != "Pooling":
        return KINDS.get(layer["type"])
    if layer.get("global"):
        return "global_avg_pool"
    return {"MAX": "max_pool", "AVE": "avg_pool"}[layer["pool"]]


def entries(layer: dict[str, Any]) -> dict[str, Any]:
    """The table's entries under the rows' field names, sides instead of pairs."""
    kind = kind_of(layer)
    window = kind in ("conv", "max_pool", "avg_pool")

    def side(key: str) -> int | None:
        value = layer.get(key) if window else None
        return value[0] if isinstance(value, list) else value

    return {
        "kind": kind,
        "kernel": side("kernel"),
        "stride": side("stride"),
        "pad": side("pad"),
        "groups": layer.get("group", 1),
        "output": tuple(layer["out_shape"]),
        "params": layer["params"],
        "macs": layer["macs"],
    }


def differences(row: LayerRow, layer: dict[str, Any]) -> set[tuple[str, str, Any, Any]]:
    theirs = entries(layer)
    ours = {field: getattr(row, field) for field in theirs}
    return {(row.name, key, ours[key], theirs[key]) for key in theirs if ours[key] != theirs[key]}


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_the_authors(name: str, shared_data: Path) -> None:
    stem, their_name = TABLES[name]
    layers = {layer["name"]: layer for layer in read(shared_data, stem)["layers"]}
    rows = {their_name(row.name): row for row in layer_rows(name)}
    assert set(rows) == {key for key, layer in layers.items() if kind_of(layer)}
    found = {diff for key, row in rows.items() for diff in differences(row, layers[key])}
    assert found == KNOWN.get(name, set())


@pytest.mark.parametrize("name", ["alexnet_2gpu", "lenet_caffe", "squeezenet1_1", "densenet121"])
def test_order_is_the_authors(name: str, shared_data: Path) -> None:
    stem, their_name = TABLES[name]
    layers = [layer["name"] for layer in read(shared_data, stem)["layers"] if kind_of(layer)]
    assert [their_name(row.name) for row in layer_rows(name)] == layers


def test_resnet50_differs_in_the_order_of_branches_alone(shared_data: Path) -> None:
    """The prototxt has the projection before the residual branch, the rows behind it."""
    layers = [row["name"] for row in read(shared_data, "resnet50-author")["layers"] if kind_of(row)]
    main = [name for name in layers if not name.endswith("_branch1")]
    rows = [resnet_name(row.name) for row in layer_rows("resnet50")]
    assert [name for name in rows if not name.endswith("_branch1")] == main
    assert sorted(rows) == sorted(layers)


def test_extraction_is_darknets(shared_data: Path) -> None:
    """Darknet states the total pad of a pool and counts batch norm with its convolution."""
    layers = [row for row in read(shared_data, "darknet-extraction")["layers"] if kind_of(row)]
    rows = layer_rows("extraction")
    assert len(rows) == len(layers)
    for row, layer in zip(rows, layers, strict=True):
        theirs = entries(layer)
        if row.kind == "max_pool":
            # A pad of 1 in total at the right edge is never reached by 2x2/2 on even sides.
            assert (layer["pad_total"], row.pad) == (1, 0)
            theirs["pad"] = 0
        theirs["params"] -= row.bn_params
        assert {key: getattr(row, key) for key in theirs} == theirs, row.name


@pytest.mark.parametrize(("name", "bias"), [("resnet50", 64), ("densenet121", 0)])
def test_batch_norm_is_the_authors(name: str, bias: int, shared_data: Path) -> None:
    table = read(shared_data, TABLES[name][0])
    scales = sum(layer["params"] for layer in table["layers"] if layer["type"] == "Scale")
    totals = rows_totals(name)
    assert totals.of_which_bn == scales
    assert totals.params + bias == table["totals"]["params"]
    assert totals.macs == table["totals"]["macs"]


def test_where_a_concatenation_joins(shared_data: Path) -> None:
    """The rows' inputs are the tables' bottoms: DenseNet joins what came in and the new maps."""
    layers = {layer["name"]: layer for layer in read(shared_data, "densenet121-caffe")["layers"]}
    rows = [row for row in layer_rows("densenet121") if row.kind == "concat"]
    assert len(rows) == 58
    for row in rows:
        joined = [densenet_name(source) for source in row.inputs]
        # Caffe pools in place of the transition's name.
        assert joined == layers[densenet_name(row.name)]["bottoms"]
