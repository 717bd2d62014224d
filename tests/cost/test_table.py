"""The shipped cost table is fresh, and folding changes no sum."""

from __future__ import annotations

import json

import pytest

from convarium import catalog
from convarium.cost.generate import as_json, entry
from convarium.cost.layers import layers_of
from convarium.cost.table import FOLDER, Layer, Repeat, index, layers, totals, unfolded
from convarium.errors import UsageError
from convarium.facts import model_facts
from convarium.trace import Op, TensorSpec, TraceRow
from long_networks import marked

SIZE = 250_000  # bytes a file may have


@pytest.mark.parametrize("name", marked(catalog.CATALOG))
def test_the_table_is_fresh(name: str) -> None:
    line, text = as_json(*entry(name))
    shipped = json.loads((FOLDER / "index.json").read_text("utf-8"))
    assert shipped[name] == json.loads(json.dumps(line)), "python -m convarium.cost.generate"
    assert (FOLDER / f"{name}.json").read_text("utf-8") == text


def test_the_table_has_the_catalog_in_its_order() -> None:
    assert list(index()) == list(catalog.CATALOG)


@pytest.mark.parametrize("name", catalog.CATALOG)
def test_layers_sum_to_the_totals(name: str) -> None:
    flat = unfolded(layers(name))
    assert sum(layer.params for layer in flat) == totals(name).params
    assert sum(layer.macs for layer in flat) == totals(name).macs


@pytest.mark.parametrize("name", ["vgg_d", "resnet50", "squeezenet1_0", "mobilenet_v1_100_224"])
def test_the_totals_are_the_ledgers(name: str) -> None:
    known = model_facts(name)
    assert (totals(name).params, totals(name).macs) == (known.params.exact, known.macs.exact)


def test_resnet50_tells_its_blocks_once() -> None:
    # ResNet, table 1: 3, 4, 6, 3 blocks; the first of each stage has its own shapes.
    times = [item.times for item in layers("resnet50") if isinstance(item, Repeat)]
    assert times == [2, 3, 5, 2]


def test_files_are_small() -> None:
    sizes = {file.name: len(file.read_bytes()) for file in FOLDER.iterdir()}
    assert max(sizes.values()) <= SIZE


def test_a_network_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="no nothing"):
        layers("nothing")


def conv(name: str, groups: int, shapes: tuple[tuple[int, ...], ...]) -> TraceRow:
    """A traced convolution of stride 2 with that many groups; shapes of input, weight, output."""
    x, weight, out = (TensorSpec(shape, 4) for shape in shapes)
    args = (x, weight, None, [2, 2], [1, 1], [1, 1], False, [0, 0], groups)
    op = Op("convolution", "other", args, {}, (out,))
    return TraceRow(name, "Conv2d", 0, out.shape, params=1, ops=[op])


@pytest.mark.parametrize(
    ("groups", "shapes", "what"),
    [
        (1, ((1, 8, 4, 4), (8, 8, 3, 3), (1, 8, 2, 2)), "conv 3x3/2"),
        (2, ((1, 8, 4, 4), (8, 4, 3, 3), (1, 8, 2, 2)), "conv 3x3/2, 2 groups"),
        (8, ((1, 8, 4, 4), (8, 1, 3, 3), (1, 8, 2, 2)), "depthwise conv 3x3/2"),
    ],
)
def test_a_convolution_says_what_it_is(
    groups: int, shapes: tuple[tuple[int, ...], ...], what: str
) -> None:
    (layer,) = layers_of([conv("c", groups, shapes)])
    assert isinstance(layer, Layer)
    assert layer.what == what
    assert layer.macs == (8 // groups) * 9 * 8 * 4  # inputs a filter, taps, outputs, pixels
