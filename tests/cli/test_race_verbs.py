"""bakeoff, train and eval through the command line, on a few digits."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from convarium.bakeoff import race, single, speed
from convarium.bakeoff.events import NetworkStarted
from convarium.cli import main
from convarium.cli.bakeoff import command_line
from convarium.data import Dataset, load_dataset
from convarium.evaluate import wilson_interval

Capture = pytest.CaptureFixture[str]
PLAIN = ("--threads", "1", "--precision", "fp32", "--layout", "contiguous", "--epochs", "1")


def few_digits(spec: str, **asked: int) -> Dataset:
    """The first 64 digits to train on, 30 to test."""
    digits = load_dataset(spec, **asked)
    return replace(digits, train=digits.train.subset(range(64)), test=digits.test.subset(range(30)))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "load_dataset", few_digits)
    monkeypatch.setattr(single, "load_dataset", few_digits)
    monkeypatch.setattr(speed, "SECONDS", 0.005)


def bakeoff(out: Path, *words: str) -> int:
    """The verb on two LeNets."""
    line = ("bakeoff", "--data", "digits", "--models", "lenet5,lenet_caffe", *PLAIN)
    return main([*line, "--out", str(out), *words])


def test_bakeoff_leaves_a_report_and_prints_table_and_path(tmp_path: Path, capsys: Capture) -> None:
    assert bakeoff(tmp_path) == 0
    captured = capsys.readouterr()
    assert (tmp_path / "report.html").is_file()
    assert json.loads((tmp_path / "race.json").read_text())["schema"] == "convarium/1"
    assert captured.out.splitlines()[-1] == f"Report: {tmp_path / 'report.html'}"
    assert "On the front of accuracy against milliseconds" in captured.out
    lines = [line.split()[1] for line in captured.err.splitlines() if "/2  " in line]
    assert lines == ["lenet5", "lenet_caffe"]
    assert "\x1b" not in captured.err


def test_bakeoff_as_json_is_one_object(tmp_path: Path, capsys: Capture) -> None:
    assert bakeoff(tmp_path, "--json") == 0
    raw = json.loads(capsys.readouterr().out)
    assert raw["schema"] == "convarium/1"
    wanted = "model top1_correct top1_total params macs ms_batch1 train_seconds confusion".split()
    for result in raw["results"]:
        assert set(wanted) <= set(result)
    assert [result["model"] for result in raw["results"]] == ["lenet5", "lenet_caffe"]


def test_an_interruption_is_exit_code_130_and_says_what_is_kept(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*told: object) -> NetworkStarted:
        if told[0] == "lenet_caffe":
            raise KeyboardInterrupt
        return NetworkStarted(*told)  # type: ignore[arg-type]

    monkeypatch.setattr(race, "NetworkStarted", stop)
    assert bakeoff(tmp_path) == 130
    assert f"1 of 2 networks are finished and kept in {tmp_path}" in capsys.readouterr().err
    monkeypatch.undo()
    _small.__wrapped__(monkeypatch)  # type: ignore[attr-defined]
    assert bakeoff(tmp_path) == 0
    assert "kept from an earlier call, 1 of 2: lenet5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "exit_code", "hint"),
    [
        (("--data", "digits", "--models", "lenet6"), 2, "Did you mean lenet5"),
        (("--data", "digits", "--minutes", "1", "--epochs", "1"), 2, "not both"),
        (("--data", "digits", "--precision", "fp8"), 2, "fp8"),
        (("--data", "no_such_folder"), 3, "no_such_folder"),
        ((), 2, "--data"),
    ],
)
def test_bad_usage_and_bad_input(
    tmp_path: Path, capsys: Capture, words: tuple[str, ...], exit_code: int, hint: str
) -> None:
    assert main(["bakeoff", *words, "--out", str(tmp_path)]) == exit_code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert hint in captured.err


def test_train_then_eval_say_the_same(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["train", "lenet5", "--data", "digits", *PLAIN, "--out", str(tmp_path), "--json"]
    assert main(line) == 0
    trained = json.loads(capsys.readouterr().out)
    weights = trained["weights"]
    assert Path(weights) == tmp_path / "last.safetensors"
    monkeypatch.setattr("convarium.data.load_dataset", few_digits)
    assert main(["eval", "lenet5", "--weights", weights, "--data", "digits", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["top1_correct"] == trained["result"]["top1_correct"]
    assert told["confusion"] == trained["result"]["confusion"]
    assert told["top1_interval"] == list(wilson_interval(told["top1_correct"], 30))


def test_train_leaves_its_page_and_its_gradients_in_the_record(
    tmp_path: Path, capsys: Capture
) -> None:
    line = ["train", "lenet5", "--data", "digits", *PLAIN, "--out", str(tmp_path), "--json"]
    assert main(line) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["report"]) == tmp_path / "report.html"
    page = Path(told["report"]).read_text("utf-8")
    assert "run-gradient" in page
    assert "convarium train lenet5 --data digits" in page
    (point,) = told["result"]["curve"]
    norms = point["grad_norms"]
    assert len(norms) > 2
    assert all(norm > 0 for norm in norms.values())
    assert point["lr"] > 0


def test_a_missing_extra_of_train_exits_4_and_leaves_no_run(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    board = ["--tensorboard", str(tmp_path / "board")]
    line = ["train", "lenet5", "--data", "digits", *PLAIN, "--out", str(tmp_path), *board]
    assert main(line) == 4
    assert "pip install 'convarium[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "log.jsonl").exists()


def test_eval_refuses_another_networks_weights(tmp_path: Path, capsys: Capture) -> None:
    assert main(["train", "lenet5", "--data", "digits", *PLAIN, "--out", str(tmp_path)]) == 0
    weights = str(tmp_path / "last.safetensors")
    assert main(["eval", "lenet_caffe", "--weights", weights, "--data", "digits"]) == 3
    assert "20x1x5x5 expected, file has 6x1x5x5" in capsys.readouterr().err


def test_the_command_line_repeats_what_was_asked() -> None:
    asked = {"models": "lenet5,nin", "epochs": None, "minutes": 0.5, "seed": 3}
    assert command_line("bakeoff", "my photos", asked) == (
        "convarium bakeoff --data 'my photos' --models lenet5,nin --minutes 0.5 --seed 3"
    )
