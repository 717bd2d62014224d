"""The typed-in rows against the ledger's counts, which were made by other hands."""

from __future__ import annotations

import re
from math import prod

import pytest

from convarium.errors import UsageError
from convarium.facts import facts_names, layer_rows, model_facts, rows_names, rows_totals

BEYOND_THE_LEDGER = {"lenet_caffe", "extraction"}
NAMES = rows_names()
COUNTED = [name for name in NAMES if name not in BEYOND_THE_LEDGER]
EXACT = [name for name in COUNTED if model_facts(name).params.exact is not None]
# The ledger's notes give the count with 100 classes.
CIFAR_100 = {
    name: int(head[1])
    for name in COUNTED
    if (head := re.search(r"CIFAR-100 head: (\d+) parameters", " ".join(model_facts(name).notes)))
}
# The ledger counts each of C3's 16 maps as a convolution of its own: 15 more than the row.
SPARSE_MAPS = {"lenet5": 15}
# Rows at which a branch ends: the network's output and the auxiliary heads.
HEADS = {"googlenet_aux": {"aux1/classifier", "aux2/classifier"}}


def test_every_classification_network_of_the_ledger_has_rows() -> None:
    detectors = ("yolo", "fast_yolo", "fast_rcnn")
    classifiers = {name for name in facts_names() if not name.startswith(detectors)}
    ours = {name for name in classifiers if model_facts(name).confidence == "ours"}
    assert len(classifiers - ours - BEYOND_THE_LEDGER) == 112
    assert set(NAMES) == classifiers - ours


@pytest.mark.parametrize("name", EXACT)
def test_totals_are_the_ledgers(name: str) -> None:
    facts, totals = model_facts(name), rows_totals(name)
    assert totals.params == facts.params.exact
    assert totals.macs == facts.macs.exact


@pytest.mark.parametrize("name", [name for name in EXACT if model_facts(name).params.weight_layers])
def test_weight_layers_and_batch_norm_are_the_ledgers(name: str) -> None:
    facts, totals = model_facts(name), rows_totals(name)
    assert totals.of_which_bn == facts.params.of_which_bn
    assert totals.weight_layers + SPARSE_MAPS.get(name, 0) == facts.params.weight_layers


def test_the_ledger_counts_all_but_two() -> None:
    assert set(COUNTED) - set(EXACT) == {"stochastic_depth_152_svhn", "fractalnet40_c4_cifar"}


def test_two_networks_that_nobody_counted() -> None:
    # 3 stages of 25 basic blocks; the first convolution of a stage sees half of its width.
    svhn = 432 + 25 * 2 * 9 * (16**2 + 32**2 + 64**2) - 9 * (16 * 32 + 32 * 64)
    norms = 2 * (16 * 51 + 32 * 50 + 64 * 50)
    assert rows_totals("stochastic_depth_152_svhn").params == svhn + norms + 650
    # The note of the ledger: 32-64-128-256-256 gives 19.05M.
    assert round(rows_totals("fractalnet40_c4_cifar").params / 1e6, 2) == 19.05


@pytest.mark.parametrize("name", NAMES)
def test_wiring(name: str) -> None:
    """Rows feed on earlier rows, carry a source, and no branch is left hanging."""
    rows = layer_rows(name)
    seen = {"input": rows[0].input}
    for row in rows:
        assert row.name not in seen
        assert set(row.inputs) <= set(seen)
        assert row.where
        assert row.confidence in ("sourced", "memory")
        assert all(side > 0 for side in row.output)
        seen[row.name] = row.output
    used = {source for row in rows for source in row.inputs}
    ends = {row.name for row in rows} - used
    assert ends == {rows[-1].name} | HEADS.get(name, set())


@pytest.mark.parametrize("name", COUNTED)
def test_input_is_the_ledgers(name: str) -> None:
    assert layer_rows(name)[0].input == model_facts(name).input


@pytest.mark.parametrize(("name", "params"), CIFAR_100.items())
def test_cifar_100_head(name: str, params: int) -> None:
    """90 more outputs of the last layer, each with a bias."""
    features = prod(layer_rows(name)[-1].input)
    assert rows_totals(name).params + 90 * (features + 1) == params


def test_unknown_name_has_suggestions() -> None:
    with pytest.raises(UsageError, match=r"Did you mean .*vgg_d"):
        layer_rows("vgg_dd")


def test_rows_are_read_once() -> None:
    assert layer_rows("vgg_d") is layer_rows("vgg_d")
