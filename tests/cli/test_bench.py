"""`convarium bench` and `cost --predict-time`: output, records, bad input."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from convarium.cli import main
from convarium.cli.bench_text import bench_text
from convarium.cost.latency.shapes import drawn
from convarium.cost.latency.store import Kept, keep
from convarium.cost.measured import operators
from convarium.cost.measured.bench import BenchReport, point_of
from convarium.cost.measured.interference import Signs, judge
from convarium.cost.measured.operators import OperatorTime, OperatorTimes
from convarium.machine import Plan
from convarium.records import Database

NETS = """
import torch
from torch import nn

class Two(nn.Module):
    def forward(self, x, y):
        return x + y

class Fails(nn.Module):
    def forward(self, x):
        if not x.is_meta:
            raise KeyError("gone")
        return x

def fails():
    return Fails()
def video():
    return nn.Conv3d(3, 4, 3)
def half():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).half()
def good():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
def wide():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
def two():
    return Two()
"""


@pytest.fixture(autouse=True)
def _few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators are timed in the fewest passes, not for two seconds."""
    monkeypatch.setattr(operators, "SECONDS", 0.0)


@pytest.fixture
def nets(tmp_path: Path) -> str:
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return str(path)


def test_two_networks_are_told_and_kept(nets: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"{nets}:good", f"{nets}:wide", "--input", "3x16x16", "--seconds", "0.01"]
    assert main(["bench", *words, "--batch", "1,2", "--threads", "1", "--per-op", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["schema"] == "convarium/1"
    assert [(p["name"], p["batch"]) for p in found["points"]] == [
        ("nets.py:good", 1),
        ("nets.py:wide", 1),
        ("nets.py:good", 2),
        ("nets.py:wide", 2),
    ]
    for point in found["points"]:
        assert 0 < point["ms_p50"] <= point["ms_p90"] <= point["ms_p99"]
        for field in ("peak_bytes", "joules_per_image"):
            assert (point[field] is None) == (field in point["unavailable"])
        assert sum(row["ms"] for row in point["operators"]["rows"]) == pytest.approx(
            point["operators"]["ms_sum"]
        )
    assert {(r["name"], r["base"]) for r in found["ratios"]} == {("nets.py:wide", "nets.py:good")}
    assert isinstance(found["interference"]["disturbed"], bool)
    assert "2 networks, batch 2, 1 thread" in captured.err
    with Database() as database:
        (run,) = database.runs()
    assert (run["run"], run["kind"], run["status"]) == (found["run"], "bench", "done")


def test_the_table_names_what_it_measured(nets: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"{nets}:good", "--input", "3x16x16", "--seconds", "0.01", "--threads", "1"]
    assert main(["bench", *words, "--per-op"]) == 0
    text = capsys.readouterr().out
    for word in ("p50 ms", "p99 ms", "images/s", "peak MB", "interference: ", "conv2d"):
        assert word in text


def test_small_figures_do_not_become_zero() -> None:
    laps, beside = [0.0006] * 3, {"peak_bytes": 4_000, "joules_per_image": 0.000417}
    slow = point_of("slow", 1, 1, [40.0] * 3, {"peak_bytes": 0, "joules_per_image": 12.5})
    points = (point_of("quick", 1, 1, laps, beside), slow)
    report = BenchReport(points, (), judge(Signs(1, 1, 0)), "contiguous", "fp32")
    rows = [line.split() for line in bench_text(report, "here").splitlines()]
    quick, slow_row = (next(row for row in rows if row[:1] == [name]) for name in ("quick", "slow"))
    assert (quick[3], quick[-1]) == ("0.6", "0.000417")
    assert (slow_row[7], slow_row[-1]) == ("0.025", "12.50")


def test_operators_are_told_without_what_is_between_them() -> None:
    """3 of 4 ms are operators': the Python between does not make the sum look whole."""
    times = OperatorTimes((OperatorTime("a", "relu", 3.0),), 3.0, 4.0, ms_between=1.0)
    beside = {"peak_bytes": 0, "joules_per_image": 0, "operators": times}
    report = BenchReport(
        (point_of("net", 1, 2, [0.004] * 3, beside),),
        (),
        judge(Signs(1, 1, 0)),
        "contiguous",
        "fp32",
    )
    text = bench_text(report, "here")
    assert "net, batch 1, 2 threads: operators take 3.00 ms of a pass of 4.00 ms (75.0 %)" in text


BAD = [
    ([], 2, "name a network"),
    (["vgg_dd"], 2, "Did you mean vgg_d"),
    (["lenet5", "--batch", "0"], 2, "--batch '0'"),
    (["lenet5", "--batch", "1,,2"], 2, "such as 1,8,32"),
    (["lenet5", "--batch", "1000000000"], 2, "such as 1,8,32"),
    (["vgg_a", "--batch", "99999"], 5, "Use a smaller batch"),
    (["lenet5", "--threads", "two"], 2, "--threads 'two'"),
    (["lenet5", "--precision", "fp64"], 2, "fp32 or bf16"),
    (["lenet5", "--layout", "nhwc"], 2, "contiguous or channels_last"),
    (["lenet5", "--seconds", "0"], 2, "--seconds"),
    (["lenet5", "--against", "torchvison"], 2, "Did you mean torchvision"),
    (["lenet5", "--calibrate"], 2, "takes no names"),
    (["--check"], 2, "goes with --calibrate"),
    (["--calibrate", "--batch", "1"], 2, "--calibrate goes with --check"),
    (["--calibrate", "--seconds", "9"], 2, "--calibrate goes with --check"),
    (["--calibrate", "--per-op"], 2, "--calibrate goes with --check"),
    (["--calibrate", "--against", "timm"], 2, "--calibrate goes with --check"),
    (["--calibrate", "--input", "3x8x8"], 2, "--calibrate goes with --check"),
    (["{nets}:good"], 2, "--input 3x224x224"),
    (["{nets}:two", "--input", "3x8x8"], 3, "Wrap it in a module"),
    (["{nets}:good", "--input", "3x2x2"], 3, "cannot take a picture"),
]


def test_a_fault_of_the_users_network_is_told_as_theirs(
    nets: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{nets}:fails", "--input", "3x8x8", "--threads", "1"]
    assert main(["bench", *words]) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "error: nets.py:fails cannot take pictures of 1x3x8x8: KeyError 'gone'"


def test_channels_last_is_for_pictures(nets: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"{nets}:video", "--input", "3x4x8x8", "--layout", "channels_last", "--threads", "1"]
    assert main(["bench", *words]) == 2
    assert "takes 3x4x8x8, no picture of CxHxW" in capsys.readouterr().err.splitlines()[-1]


def test_half_floats_are_said(nets: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"{nets}:half", "--input", "3x8x8", "--threads", "1", "--seconds", "0.01"]
    assert main(["bench", *words]) == 0
    said = "nets.py:half computes in float16, as it was built."
    assert said in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(("words", "code", "said"), BAD, ids=lambda v: str(v)[:40])
def test_bad_input_is_one_sentence(
    words: list[str], code: int, said: str, nets: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *(word.format(nets=nets) for word in words)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err


@pytest.fixture
def calibrated() -> None:
    """A machine on which every call takes one millisecond."""
    samples = tuple((call, 1e-3) for turn in islice(drawn(), 18) for call in turn)
    reached = {
        "rows": [{"name": "vgg_a"}] * 12,
        "model": {"mean_error": 0.11, "worst_error": 0.2, "tau": 0.95},
        "macs_alone": {"mean_error": 0.4, "worst_error": 0.9, "tau": 0.8},
        "repeatability": 0.02,
        "ms_per_gmac": 10.0,
        "rounds": 10,
    }
    keep(Plan(1), Kept(samples, {"conv": 0.0}, reached))


@pytest.mark.usefixtures("calibrated")
def test_time_is_predicted_with_its_own_error(
    nets: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two operators of 1 ms; 2 pictures of 14 x 14 outputs of 4 maps of 27 products."""
    words = ["cost", f"{nets}:good", "--input", "3x16x16", "--predict-time", "--threads", "1"]
    assert main([*words, "--batch", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (one,) = found["predictions"]
    assert one["ms"] == pytest.approx(2.0, rel=1e-6)
    assert one["macs"] == 2 * 14 * 14 * 4 * 27
    assert [row["kind"] for row in one["rows"]] == ["Conv2d", "ReLU"]
    assert main([*words, "--batch", "2"]) == 0
    text = capsys.readouterr().out
    assert "error on 12 networks not calibrated on: 11.0 % mean" in text
    assert "by MACs alone 40.0 %, tau 0.800; the machine repeats itself within 2.0 %" in text
    assert "that error was measured at batch 1, not at 2" in text
    assert main(["cost", f"{nets}:half", *words[2:]]) == 0
    captured = capsys.readouterr()
    assert "batch 1, not" not in captured.out
    assert captured.err == "nets.py:half is built in float16, told is the time in fp32.\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lenet5", "--predict-time", "--threads", "1"], 2, "bench --calibrate --threads 1"),
        (["lenet5", "--threads", "1"], 2, "--threads goes with --predict-time"),
        (["lenet5", "--predict-time", "--training"], 2, "--predict-time goes with"),
    ],
)
def test_predictions_refuse_in_one_sentence(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", *words]) == code
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert said in captured.err
