"""Verify finds what is wrong: broken networks, mistyped rows, differences without a reason."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from convarium import facts
from convarium.errors import UsageError
from convarium.facts import LayerRow
from convarium.nets import vgg
from convarium.verify.engine import judge, known_rows, summary, verify
from convarium.verify.network import Network, build, read
from convarium.verify.verdict import Verdict

COUNTABLE_CONFLICTS = {
    "googlenet_params",
    "googlenet_conv1",
    "googlenet_4c_5a",
    "mobilenet_squeezenet_ops",
    "mobilenet_conv3x3_share",
    "densenet264",
    "densenet_table2_1202",
    "preact1001",
    "fractal_386",
    "squeezenet_complex",
    "darknet53",
    "owt_conv4",
    "alexnet_input",
    "alexnet_2048",
    "resnet_flops",
    "resnet50_v15",
    "squeezenet11",
    "cs231n_bottleneck",
    "mobilenet_keras_529",
}
# Error rates of one network printed twice, and detectors: nothing to count on a classifier.
NOT_COUNTABLE = {
    "stochdepth_c100",
    "stochdepth_c10",
    "yolov1_cfg",
    "wrn50_top5",
    "vgg_best",
    "yolov2_passthrough",
}


def _judged(net: Network, name: str, rows: tuple[LayerRow, ...] | None = None) -> list[Verdict]:
    return judge(
        net,
        facts=facts.model_facts(name),
        rows=known_rows(name) if rows is None else rows,
        printed=facts.printed_facts(name),
    )


def _unexplained(verdicts: list[Verdict]) -> set[str]:
    return {v.fact for v in verdicts if v.is_unexplained}


def test_vgg_d_stands() -> None:
    verdicts = verify("vgg16")
    assert not _unexplained(verdicts)
    assert {v.model for v in verdicts} == {"vgg_d"}
    (params,) = [v for v in verdicts if v.fact == "params"]
    assert (params.printed, params.ours, params.verdict) == ("138M", 138_357_544, "AGREES")


@pytest.fixture
def vgg_with(monkeypatch: pytest.MonkeyPatch):
    """Builds VGG-D from another column D."""

    def build_it(column: str) -> Network:
        monkeypatch.setitem(vgg.TABLE_1, "D", column)
        with torch.device("meta"):
            return read(vgg.VGG("D"), (3, 224, 224), name="vgg_d")

    return build_it


def test_one_width_changed_is_found_in_its_row(vgg_with) -> None:
    wrong = "64 64 M 128 128 M 256 256 256 M 512 500 512 M 512 512 512 M"
    found = _unexplained(_judged(vgg_with(wrong), "vgg_d"))
    assert {"row conv4_2", "row conv4_3", "params counted by hand"} <= found
    assert "row conv4_1" not in found


def test_one_layer_missing_is_found(vgg_with) -> None:
    wrong = "64 64 M 128 128 M 256 256 256 M 512 512 M 512 512 512 M"
    found = _unexplained(_judged(vgg_with(wrong), "vgg_d"))
    assert {"depth", "params", "row conv4_3"} <= found


def test_two_layers_swapped_are_found(vgg_with) -> None:
    """Column C's 1x1 layer one place too early has the same parameters in all."""
    rows = known_rows("vgg_c")
    wrong = "64 64 M 128 128 M 256 1x256 256 M 512 512 1x512 M 512 512 1x512 M"
    found = {v.fact for v in _judged(vgg_with(wrong), "vgg_c", rows) if v.verdict == "DIFFERS"}
    assert found & {"row conv3_2", "row conv3_3"}


def test_a_layer_that_no_row_speaks_of_is_found(vgg_with) -> None:
    wrong = "64 LRN 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"
    found = _unexplained(_judged(vgg_with(wrong), "vgg_d"))
    assert found == {"layers beside the rows of the table"}


@pytest.mark.parametrize(
    "slip",
    [
        {"kernel": 5},
        {"stride": 2},
        {"pad": 0},
        {"groups": 2},
        {"output": (256, 56, 28)},
        {"params": 1},
        {"kind": "linear"},
    ],
    ids=str,
)
def test_a_mistyped_row_is_found(slip: dict) -> None:
    rows = known_rows("vgg_d")
    typed = tuple(
        dataclasses.replace(row, **slip) if row.name == "conv3_2" else row for row in rows
    )
    found = _unexplained(_judged(build("vgg_d"), "vgg_d", typed))
    assert "row conv3_2" in found
    assert found <= {"row conv3_2", "layers beside the rows of the table"}


def test_a_row_too_many_has_no_counterpart() -> None:
    rows = (*known_rows("vgg_d"), LayerRow("conv9", "conv", (512, 7, 7), 3, 1, 1))
    (verdict,) = [v for v in _judged(build("vgg_d"), "vgg_d", rows) if v.fact == "row conv9"]
    assert (verdict.verdict, verdict.ours) == ("DIFFERS", None)


def test_a_printed_number_that_is_off_is_found() -> None:
    (printed,) = [f for f in facts.printed_facts("vgg_a") if f.fact.what == "params"]
    wrong = dataclasses.replace(printed, fact=dataclasses.replace(printed.fact, value=134e6))
    verdicts = judge(
        build("vgg_a"), facts=facts.model_facts("vgg_a"), rows=known_rows("vgg_a"), printed=[wrong]
    )
    assert _unexplained(verdicts) == {"params"}


def test_what_nobody_prints_is_silent() -> None:
    """Network in Network prints neither parameters nor multiply-adds."""
    silent = {v.fact: v for v in verify("nin_cifar10") if v.verdict == "SILENT"}
    assert {"params", "macs"} <= set(silent)
    assert all(v.printed is None and v.ours is None and v.reason for v in silent.values())


def test_a_receptive_field_is_counted_over_the_layer_below() -> None:
    """VGG section 2.3: two 3x3 layers see 5x5 of what feeds them, three see 7x7."""
    fields = {v.ours for name in ("vgg_b", "vgg_d") for v in verify(name) if "field" in v.fact}
    assert fields == {5, 7}


def test_numbers_from_memory_are_marked() -> None:
    recalled = {v.fact for v in verify("vgg_d") if v.is_recalled}
    assert "values that the forward pass keeps" in recalled
    assert "params" not in recalled


def test_all_25_conflicts_are_known_countable_or_not() -> None:
    ids = [conflict.id for conflict in facts.conflicts()]
    assert len(ids) == 25
    assert set(ids) == COUNTABLE_CONFLICTS | NOT_COUNTABLE


@pytest.mark.slow
def test_countable_conflicts_differ_with_a_reason() -> None:
    shown = set()
    for model in facts.printed_models():
        parts = {f.fact.what: f.conflict for f in facts.printed_facts(model) if f.conflict}
        if parts:
            differing = [v for v in verify(model) if v.verdict == "DIFFERS" and v.reason]
            shown |= {parts.get(v.fact) for v in differing} - {None}
    assert shown == COUNTABLE_CONFLICTS


def test_an_alias_is_found_and_a_wrong_name_is_helped() -> None:
    with pytest.raises(UsageError, match="Did you mean vgg_d"):
        verify("vgg_d1")


def test_the_summary_counts_words() -> None:
    verdicts = verify("lenet5")
    found = summary(verdicts)
    assert sum(found.values()) == len(verdicts)
    assert list(found) == ["agrees", "differs", "silent"]
