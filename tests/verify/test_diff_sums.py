"""Rows, changes and sentences of a difference add up exactly to the totals' difference."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

import convarium
from convarium import catalog
from convarium.verify.diff_summary import summary
from convarium.verify.difference import Difference
from long_networks import LONG

# Neighbours in the catalog are often kin, those far apart are not: both must add up.
NAMES = convarium.list_models()
FIRSTS = list({catalog.find(name).family: name for name in reversed(NAMES)}.values())
PAIRS = [
    *pairwise(FIRSTS),
    ("lenet5", "lenet_caffe"),
    ("nin_cifar10", "nin_imagenet"),
    ("googlenet", "googlenet_aux"),
    ("inception_naive", "inception_bottleneck"),
    ("plain34", "resnet34_a"),
    ("resnet34_b", "resnet34_c"),
    ("resnet20_cifar", "resnet110_cifar"),
    ("resnet110_cifar", "preact_resnet110"),
    ("preact_resnet110", "stochastic_depth_110"),
    ("wrn_16_4", "wrn_40_4"),
    ("resnet50", "resnext50_32x4d"),
    ("densenet121", "densenet169"),
    ("squeezenet1_0", "mobilenet_v1_100_224"),
    ("darknet19", "extraction"),
    ("vgg_a", "vgg_e"),
    ("alexnet_2gpu", "zfnet"),
    ("resnet18", "torchvision:resnet18"),
    ("densenet121", "torchvision:densenet121"),
    ("googlenet_aux", "torchvision:googlenet"),
    ("vgg_d", "torchvision:vgg16_bn"),
]
TABLES = [
    ("alexnet_2gpu", "alexnet-2group-bvlc"),
    ("alexnet_ungrouped", "caffenet-bvlc"),
    ("extraction", "darknet-extraction"),
    ("resnet18", "darknet-resnet18"),
    ("vgg_d", "darknet-vgg-16"),
    ("extraction", "darknet-yolov1"),
    ("darknet19", "darknet-yolov2-voc"),
    ("darknet19", "darknet-yolov3-tiny"),
    ("densenet121", "densenet121-caffe"),
    ("lenet_caffe", "lenet-caffe"),
    ("resnet50", "resnet50-author"),
    ("squeezenet1_1", "squeezenet1.1-author"),
]


def assert_adds_up(found: Difference, params: int, macs: int) -> None:
    lines = summary(found)
    assert (sum(x.params for x in found.rows), sum(x.macs for x in found.rows)) == (params, macs)
    assert (sum(x.params for x in lines), sum(x.macs for x in lines)) == (params, macs)
    for row in found.rows:
        if row.a and row.b:
            assert sum(change.params for change in row.changes) == row.params
            assert sum(change.macs for change in row.changes) == row.macs
    names = [row.a.name for row in found.rows if row.a]
    assert sorted(names) == sorted(unit.name for unit in found.a.units)
    names = [row.b.name for row in found.rows if row.b]
    assert sorted(names) == sorted(unit.name for unit in found.b.units)


@pytest.mark.parametrize(
    ("a", "b"),
    [pytest.param(*pair, marks=pytest.mark.slow if LONG & set(pair) else ()) for pair in PAIRS],
)
def test_two_networks(a: str, b: str) -> None:
    found = convarium.diff(a, b)
    params, macs = found.b.params - found.a.params, found.b.macs - found.a.macs
    if ":" not in b and {catalog.find(a).traced, catalog.find(b).traced} == {"eval"}:
        first, second = convarium.measure_cost(a), convarium.measure_cost(b)
        assert (first.params, first.macs) == (found.a.params, found.a.macs)
        assert (second.params, second.macs) == (found.b.params, found.b.macs)
    assert_adds_up(found, params, macs)


@pytest.mark.data
@pytest.mark.parametrize(("name", "stem"), TABLES)
def test_a_network_and_a_table(name: str, stem: str, shared_data: Path) -> None:
    path = shared_data / "layer-tables" / f"{stem}.json"
    totals = json.loads(path.read_text("utf-8"))["totals"]
    ours = convarium.measure_cost(name)
    found = convarium.diff(name, str(path))
    assert_adds_up(found, totals["params"] - ours.params, totals["macs"] - ours.macs)
