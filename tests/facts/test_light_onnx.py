"""The rows against the structures that the onnx wheel ships for its own tests, a third source."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import pytest

from convarium.facts import LayerRow, layer_rows

onnx = pytest.importorskip("onnx", reason="the light_*.onnx structures come with the onnx wheel")
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
KINDS = {
    "Conv": "conv",
    "Gemm": "linear",
    "MaxPool": "max_pool",
    "AveragePool": "avg_pool",
    "GlobalAveragePool": "global_avg_pool",
    "LRN": "lrn",
}


@dataclass(frozen=True)
class Entry:
    """What both sides say of a layer; `weight` is (out, in / groups, kernel, kernel)."""

    kind: str
    weight: tuple[int, ...] = ()
    kernel: int | None = None
    stride: int | None = None
    pad: int | None = None
    groups: int = 1


# The wheel's ResNet-50 strides in the 3x3 (v1.5), its SqueezeNet is v1.1, its AlexNet has the
# two groups, its ZFNet is the variant of 512 maps.
STRUCTURES = {
    "densenet121": "light_densenet121",
    "resnet50_v1_5": "light_resnet50",
    "squeezenet1_1": "light_squeezenet",
    "vgg_e": "light_vgg19",
    "googlenet": "light_inception_v1",
    "alexnet_2gpu": "light_bvlc_alexnet",
    "zfnet": "light_zfnet512",
}
# Where a structure differs from the rows: what it has instead.
KNOWN: dict[str, dict[str, Entry]] = {
    # The classifier is written as a 1x1 convolution over the one pixel.
    "densenet121": {"fc": Entry("conv", (1000, 1024, 1, 1), 1, 1, 0)},
    # The global pool is written with its 7x7 window.
    "resnet50_v1_5": {"avgpool": Entry("avg_pool", (), 7, 1, 0)},
    # Pooled sizes are rounded down there, so its last map is 6x6 with a pad at two edges.
    "googlenet": {"pool5": Entry("avg_pool", (), 7, 1, None)},
    # It takes 224 pixels without a pad at conv1, so the last pool needs one at two of its edges.
    "alexnet_2gpu": {"pool5": Entry("max_pool", (), 3, 2, None)},
    # Caffe's sizes are rounded up where the paper's need pads; 512 maps in layers 3 to 5; a
    # last pool of 2x2/2; 4096 and 1024 features; normalised before pooling.
    "zfnet": {
        "conv1": Entry("conv", (96, 3, 7, 7), 7, 2, 0),
        "pool1": Entry("lrn"),
        "norm1": Entry("max_pool", (), 3, 2, 0),
        "conv2": Entry("conv", (256, 96, 5, 5), 5, 2, 0),
        "pool2": Entry("lrn"),
        "norm2": Entry("max_pool", (), 3, 2, 0),
        "conv3": Entry("conv", (512, 256, 3, 3), 3, 1, 1),
        "conv4": Entry("conv", (512, 512, 3, 3), 3, 1, 1),
        "conv5": Entry("conv", (512, 512, 3, 3), 3, 1, 1),
        "pool5": Entry("max_pool", (), 2, 2, 0),
        "fc6": Entry("linear", (4096, 512 * 6 * 6)),
        "fc7": Entry("linear", (1024, 4096)),
        "fc8": Entry("linear", (1000, 1024)),
    },
}


@pytest.mark.parametrize(("name", "stem"), STRUCTURES.items())
def test_rows_are_the_structure(name: str, stem: str) -> None:
    rows = {row.name: entry for row in layer_rows(name) if (entry := ours(row))}
    found = theirs(stem)
    assert len(rows) == len(found)
    differences = {
        row: their for (row, our), their in zip(rows.items(), found, strict=True) if our != their
    }
    assert differences == KNOWN.get(name, {})


def test_the_wheels_resnet50_is_not_v1() -> None:
    """It differs from the paper's in the stride of three blocks' first two convolutions."""
    rows = {row.name: entry for row in layer_rows("resnet50") if (entry := ours(row))}
    found = theirs("light_resnet50")
    differ = {row for (row, our), their in zip(rows.items(), found, strict=True) if our != their}
    strides = {f"conv{stage}_1/conv{place}" for stage in (3, 4, 5) for place in (1, 2)}
    assert differ == strides | {"avgpool"}


def ours(row: LayerRow) -> Entry | None:
    """A row as a structure would say it; None for joins, which structures write in other ways."""
    if row.kind == "linear":
        return Entry("linear", (*row.output, prod(row.input)))
    if row.kind == "conv":
        assert row.kernel is not None
        shape = (row.output[0], row.input[0] // row.groups, row.kernel, row.kernel)
        return Entry("conv", shape, row.kernel, row.stride, row.pad, row.groups)
    if row.kind in KINDS.values():
        return Entry(row.kind, (), row.kernel, row.stride, row.pad)
    return None


def theirs(stem: str) -> list[Entry]:
    """The layers of a structure, in the order of its graph."""
    graph = onnx.load(LIGHT / f"{stem}.onnx").graph
    shapes = weight_shapes(graph)
    return [entry_of(node, shapes) for node in graph.node if node.op_type in KINDS]


def weight_shapes(graph: Any) -> dict[str, tuple[int, ...]]:
    """The weights are left out of the files: a shape stands for each, some of them reshaped."""
    values = {i.name: i for i in graph.initializer}
    shapes: dict[str, tuple[int, ...]] = {}
    for node in graph.node:
        if node.op_type == "ConstantOfShape" or (
            node.op_type == "Reshape" and node.input[0] in shapes
        ):
            sides = onnx.numpy_helper.to_array(values[node.input[-1]])
            shapes[node.output[0]] = tuple(int(side) for side in sides)
    return shapes


def entry_of(node: Any, shapes: dict[str, tuple[int, ...]]) -> Entry:
    kind = KINDS[node.op_type]
    weight = shapes[node.input[1]] if kind in ("conv", "linear") else ()
    if kind not in ("conv", "max_pool", "avg_pool"):
        return Entry(kind, weight)
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    pads = set(found.get("pads", [0]))
    pad = pads.pop() if len(pads) == 1 else None  # None: not the same at all edges
    kernel, stride = found["kernel_shape"][0], found["strides"][0]
    return Entry(kind, weight, kernel, stride, pad, found.get("group", 1))
