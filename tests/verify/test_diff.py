"""What a difference must find by itself: known departures of other implementations, and of ours.

Expected numbers are arithmetic on the papers' tables, or printed by the issue or the tables' files.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from torch import nn

import convarium
from convarium.nets.vgg import VGG
from convarium.verify.diff_summary import summary
from convarium.verify.difference import Difference, DiffRow

SEEN_BY_5X5 = {  # #5x5 reduce and #5x5 of Table 1, side of the map
    "3a": (16, 32, 28),
    "3b": (32, 96, 28),
    "4a": (16, 48, 14),
    "4b": (24, 64, 14),
    "4c": (24, 64, 14),
    "4d": (32, 64, 14),
    "4e": (32, 128, 14),
    "5a": (32, 128, 7),
    "5b": (48, 128, 7),
}


@cache
def found(a: str, b: str) -> Difference:
    return convarium.diff(a, b)


def changed(difference: Difference, field: str) -> dict[str, tuple[object, object]]:
    """Rows that differ in `field`: name -> the two values."""
    return {
        row.name: (c.a, c.b) for row in difference.rows for c in row.changes if c.field == field
    }


def only(difference: Difference, status: str) -> list[tuple[str, str]]:
    return [(row.kind, row.name) for row in difference.rows if row.status == status]


def moved(difference: Difference) -> dict[str, tuple[str, str]]:
    rows = [row for row in difference.rows if row.status == "moved"]
    return {row.name: (row.after_a, row.after_b) for row in rows}


def row_of(difference: Difference, name: str) -> DiffRow:
    return next(row for row in difference.rows if row.name == name)


def test_torchvisions_googlenet_has_3x3_where_the_paper_has_5x5() -> None:
    difference = found("googlenet", "torchvision:googlenet")
    kernels = changed(difference, "kernel")
    blocks = [f"inception_{name}.branch5x5.conv" for name in SEEN_BY_5X5]
    assert {name: kernels[name] for name in blocks} == dict.fromkeys(blocks, ((5, 5), (3, 3)))
    weights = sum((9 - 25) * seen * maps for seen, maps, _ in SEEN_BY_5X5.values())
    macs = sum((9 - 25) * seen * maps * side**2 for seen, maps, side in SEEN_BY_5X5.values())
    line = next(line for line in summary(difference) if "5x5 -> 3x3" in line.what)
    assert (line.layers, line.params, line.macs) == (blocks, weights, macs)


def test_torchvisions_googlenet_has_batch_norm_and_other_pools_and_dropout() -> None:
    difference = found("googlenet", "torchvision:googlenet")
    convolutions = [row.name for row in difference.rows if row.kind == "conv"]
    assert len(convolutions) == 57
    assert changed(difference, "norm") == dict.fromkeys(
        convolutions, ("none", "batch norm, eps 0.001")
    )
    assert changed(difference, "bias") == dict.fromkeys(convolutions, (True, False))
    assert changed(difference, "rate") == {"dropout": (0.4, 0.2)}
    assert changed(difference, "kernel")["pool4"] == ((3, 3), (2, 2))
    assert set(changed(difference, "rounding")) == {
        f"inception_{name}.branch_pool.pool" for name in SEEN_BY_5X5
    }
    assert only(difference, "only_a") == [("lrn", "stem.lrn1"), ("lrn", "stem.lrn2")]


def test_torchvisions_alexnet_has_256_filters_in_conv4_and_no_lrn() -> None:
    difference = found("alexnet_owt", "torchvision:alexnet")
    assert changed(difference, "filters") == {"features.conv4": (384, 256)}
    line = next(line for line in summary(difference) if "filters" in line.what)
    conv4, conv5 = 9 * 384 * 128 + 128, 9 * 128 * 256
    assert (line.params, line.macs) == (-(conv4 + conv5), -(conv4 - 128 + conv5) * 13 * 13)
    assert str(line).startswith("features.conv4: 384 -> 256 filters: -737,408 parameters, ")
    assert only(difference, "only_a") == [("lrn", "features.lrn1"), ("lrn", "features.lrn2")]
    assert moved(difference) == {"classifier.drop7": ("classifier.fc7", "avgpool")}


def test_resnet50_v1_5_has_its_stride_in_the_3x3() -> None:
    difference = found("resnet50", "resnet50_v1_5")
    assert difference.params == 0
    assert round(difference.a.macs / 1e9, 3) == 3.858
    assert round(difference.b.macs / 1e9, 3) == 4.089
    first = [f"conv{n}_x.conv{n}_1.conv1" for n in (3, 4, 5)]
    second = [f"conv{n}_x.conv{n}_1.conv2" for n in (3, 4, 5)]
    assert changed(difference, "stride") == {
        **dict.fromkeys(first, ((2, 2), (1, 1))),
        **dict.fromkeys(second, ((1, 1), (2, 2))),
    }
    assert [row.name for row in difference.differing] == sorted(first + second)


def test_timms_resnet50_is_v1_5() -> None:
    pytest.importorskip("timm")
    assert not found("resnet50_v1_5", "timm:resnet50").differing


def test_lrn_as_pytorchcv_has_it_divides_alpha_by_n() -> None:
    """Equal constants are no equal formula: the module of torch multiplies the mean."""
    theirs = VGG("A-LRN")
    theirs.features.lrn1 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
    difference = convarium.diff("vgg_a_lrn", theirs)
    assert [row.name for row in difference.differing] == ["features.lrn1"]
    (change,) = row_of(difference, "features.lrn1").changes
    assert (change.field, change.a, change.b) == ("alpha", 1e-4, pytest.approx(1e-4 / 5))
    assert "0.0001 times the mean of 5" in str(summary(difference)[0])


def test_lrn_of_torch_with_alpha_times_n_is_the_papers() -> None:
    theirs = VGG("A-LRN")
    theirs.features.lrn1 = nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
    assert not convarium.diff("vgg_a_lrn", theirs).differing


def test_vgg_a_lrn_has_one_normalisation_more() -> None:
    difference = found("vgg_a", "vgg_a_lrn")
    assert [row.status for row in difference.differing] == ["only_b"]
    assert only(difference, "only_b") == [("lrn", "features.lrn1")]
    assert (difference.params, difference.macs) == (0, 0)


def test_squeezenet1_1_pools_earlier_behind_a_smaller_conv1() -> None:
    difference = found("squeezenet1_0", "squeezenet1_1")
    (conv1,) = changed(difference, "filters")
    assert changed(difference, "filters")[conv1] == (96, 64)
    assert changed(difference, "kernel") == {conv1: ((7, 7), (3, 3))}
    places = [tuple(after.split(".")[1] for after in pair) for pair in moved(difference).values()]
    assert places == [("fire4", "fire3"), ("fire8", "fire5")]
    # conv1 alone has fewer parameters, and fire2's squeeze sees fewer maps.
    of_conv1 = (49 * 3 * 96 + 96) - (9 * 3 * 64 + 64)
    assert difference.params == -(of_conv1 + (96 - 64) * 16)


def test_resnet50_to_resnet101_is_17_blocks_in_conv4() -> None:
    difference = found("resnet50", "resnet101")
    names = {name.split(".")[1] for _, name in only(difference, "only_b")}
    assert names == {f"conv4_{i}" for i in range(7, 24)}
    assert all(row.status in ("same", "only_b") for row in difference.rows)


def test_a_network_is_no_different_from_itself() -> None:
    difference = found("preact_resnet18", "preact_resnet18")
    assert not difference.differing
    assert summary(difference) == []


def test_first_values_are_compared_where_asked_for() -> None:
    """Caffe's Xavier has the variance 1 / fan-in, He's, as torchvision's, twice that."""
    difference = convarium.diff("squeezenet1_1", "torchvision:squeezenet1_1", first_values=True)
    starts = changed(difference, "start of weight")
    convolutions = [row.name for row in difference.rows if row.kind == "conv"]
    assert set(starts) == set(convolutions[:-1])  # the last one is N(0, 0.01) in both
    ratios = [theirs["std"] / ours["std"] for ours, theirs in starts.values()]
    assert ratios == pytest.approx([2**0.5] * 25, rel=0.05)
    (line,) = [line for line in summary(difference) if "start of weight" in line.what]
    assert len(line.layers) == 25


def test_a_network_starts_as_itself() -> None:
    assert not convarium.diff("resnet20_cifar", "resnet20_cifar", first_values=True).differing


@pytest.mark.data
def test_bvlc_alexnet_multiplies_the_mean_and_rounds_up(shared_data: Path) -> None:
    difference = found("alexnet_2gpu", table(shared_data, "alexnet-2group-bvlc"))
    assert (difference.params, difference.macs) == (0, 0)
    norms = ["tower1+2.lrn1", "tower1+2.lrn2"]
    assert changed(difference, "k") == dict.fromkeys(norms, (2.0, 1.0))
    assert changed(difference, "alpha") == dict.fromkeys(norms, (1e-4, pytest.approx(2e-5)))
    assert set(changed(difference, "rounding").values()) == {("down", "up")}
    assert not moved(difference)
    assert not changed(difference, "groups")


@pytest.mark.data
def test_caffenet_pools_before_it_normalises(shared_data: Path) -> None:
    tables = [table(shared_data, stem) for stem in ("alexnet-2group-bvlc", "caffenet-bvlc")]
    difference = found(*tables)
    assert moved(difference) == {"norm1": ("conv1", "pool1"), "norm2": ("conv2", "pool2")}
    assert {row.status for row in difference.rows} == {"same", "moved"}
    ours = found("alexnet_2gpu", tables[1])
    assert list(moved(ours)) == ["tower1+2.lrn1", "tower1+2.lrn2"]


@pytest.mark.data
def test_the_authors_resnet50_has_a_bias_in_conv1(shared_data: Path) -> None:
    difference = found("resnet50", table(shared_data, "resnet50-author"))
    assert changed(difference, "bias") == {"conv1": (False, True)}
    assert difference.params == 64
    assert changed(difference, "rounding") == {"pool1": ("down", "up")}
    shortcuts = {f"conv{n}_x.conv{n}_1.shortcut.0" for n in (2, 3, 4, 5)}
    assert set(moved(difference)) == shortcuts  # the file has the projection first
    assert not changed(difference, "norm_eps")


@pytest.mark.data
def test_densenet121_in_caffe_writes_its_classifier_as_a_convolution(shared_data: Path) -> None:
    difference = found("densenet121", table(shared_data, "densenet121-caffe"))
    assert changed(difference, "written") == {"classifier": ("matrix", "1x1 convolution")}
    assert len(changed(difference, "rounding")) == 3  # the transitions' pools
    assert len(difference.differing) == 4
    assert (difference.params, difference.macs) == (0, 0)


@pytest.mark.data
def test_the_authors_squeezenet1_1_is_ours(shared_data: Path) -> None:
    difference = found("squeezenet1_1", table(shared_data, "squeezenet1.1-author"))
    assert only(difference, "only_b") == [("softmax", "prob")]
    assert len(difference.differing) == 1


def table(shared_data: Path, stem: str) -> str:
    return str(shared_data / "layer-tables" / f"{stem}.json")
