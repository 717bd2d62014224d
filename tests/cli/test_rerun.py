"""rerun: a small training repeated; what moved, what explains it, what cannot be repeated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convarium.bakeoff import rerun as repetition
from convarium.bakeoff import single
from convarium.cli import main
from convarium.data import Dataset, load_dataset
from convarium.files import home
from convarium.records import overview
from records.record_logs import write_log

Capture = pytest.CaptureFixture[str]
PLAIN = ("--threads", "1", "--precision", "fp32", "--layout", "contiguous", "--epochs", "1")
Change = Callable[[dict[str, Any]], None]


def few_digits(spec: str, **asked: int) -> Dataset:
    """The first 64 digits to train on, 30 to test."""
    digits = load_dataset(spec, **asked)
    return replace(digits, train=digits.train.subset(range(64)), test=digits.test.subset(range(30)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the record of a small training."""
    home, out = tmp_path_factory.mktemp("trained"), tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVARIUM_HOME", str(home))
        patch.setattr(single, "load_dataset", few_digits)
        assert main(["train", "lenet_caffe", "--data", "digits", *PLAIN, "--out", str(out)]) == 0
    return home


@pytest.fixture
def log(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Path:
    """The log of a small training, which is in the records."""
    for module in (single, repetition):
        monkeypatch.setattr(module, "load_dataset", few_digits)
    shutil.copytree(trained, home(), dirs_exist_ok=True)
    capsys.readouterr()
    return next((home() / "runs").glob("*.jsonl"))


def change(log: Path, event: str, how: Change) -> None:
    """Rewrites one event of a log."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    for one in events:
        if one["event"] == event:
            how(one)
    write_log(log, events)


def rerun(capsys: Capture, exit_code: int = 0) -> dict[str, Any]:
    """The only comparison of `rerun lenet_caffe --json`."""
    assert main(["rerun", "lenet_caffe", "--json"]) == exit_code
    (told,) = json.loads(capsys.readouterr().out)["comparisons"]
    return dict(told)


def other_loss(event: dict[str, Any]) -> None:
    event["result"]["curve"][0]["loss"] += 0.25
    event["result"]["top1_correct"] += 1
    event["result"]["confusion"][0][0] += 1


def test_the_same_seed_and_plan_give_the_same_bits(log: Path, capsys: Capture) -> None:
    told = rerun(capsys)
    assert told["verdict"] == "same"
    assert told["top1_correct"][0] == told["top1_correct"][1]
    assert (told["first_epoch_apart"], told["largest_loss_gap"], told["answers_moved"]) == (
        *(None, 0.0, 0),
    )
    then, now = told["train_seconds"]
    assert told["seconds_ratio"] == now / then
    assert told["changed"] == {}


def test_a_repetition_is_recorded_and_the_first_stays_what_is_repeated(
    log: Path, capsys: Capture
) -> None:
    first = rerun(capsys)["run"]
    assert sorted(one.kind for one in overview()) == ["rerun", "train"]
    assert rerun(capsys)["run"] == first == log.stem


def test_results_that_moved_without_a_reason_are_exit_code_1(log: Path, capsys: Capture) -> None:
    change(log, "result", other_loss)
    told = rerun(capsys, 1)
    assert told["verdict"] == "moved"
    assert told["first_epoch_apart"] == 1
    assert told["largest_loss_gap"] == pytest.approx(0.25)
    assert told["top1_correct"][0] == told["top1_correct"][1] + 1
    assert "please report it" in told["sentence"]


def test_a_version_that_changed_explains_results_that_moved(log: Path, capsys: Capture) -> None:
    def older(event: dict[str, Any]) -> None:
        event["machine"]["versions"]["torch"] = "2.9.0"

    change(log, "start", older)
    change(log, "result", other_loss)
    told = rerun(capsys)
    assert told["verdict"] == "changed"
    assert told["changed"]["torch"][0] == "2.9.0"
    assert "torch 2.9.0 -> " in told["sentence"]


def test_a_training_for_minutes_does_not_repeat(log: Path, capsys: Capture) -> None:
    change(log, "start", lambda event: event.update(minutes=0.001))
    change(log, "result", other_loss)
    assert rerun(capsys)["verdict"] == "clock"


def test_other_pictures_than_then_are_refused(log: Path, capsys: Capture) -> None:
    change(log, "start", lambda event: event.update(data_fingerprint="0" * 64))
    assert main(["rerun", "lenet_caffe"]) == 3
    assert "is not what it was: fingerprint 000000000000" in capsys.readouterr().err


def test_pictures_that_are_gone_are_named(log: Path, capsys: Capture) -> None:
    change(log, "start", lambda event: event.update(data_place="/no/such/folder"))
    assert main(["rerun", "lenet_caffe"]) == 3
    assert "/no/such/folder" in capsys.readouterr().err


def test_an_older_record_has_its_data_in_its_command(log: Path, capsys: Capture) -> None:
    def older(event: dict[str, Any]) -> None:
        for name in ("data_place", "data_fingerprint", "minutes", "convarium"):
            del event[name]

    change(log, "start", older)
    told = rerun(capsys)
    assert told["verdict"] == "same"
    assert told["changed"]["convarium"][0] == "not recorded"


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("plan", {"threads": 10**9}, "threads must be from 1 to 1024, not 1000000000"),
        ("plan", {"cores": 1}, "plan cannot be read"),
        ("plan", {"threads": 1, "precision": "fp8"}, "plan cannot be read"),
        ("plan", {"threads": 1, "device": "tpu"}, "Repeat it where it ran"),
        ("recipe", {"batch": 0}, "recipe cannot be read"),
        ("status", "failed", "is failed"),
        ("confusion", 3, "record cannot be read"),
    ],
)
def test_a_record_that_cannot_be_repeated_says_why(
    log: Path, capsys: Capture, field: str, value: object, hint: str
) -> None:
    change(log, "result", lambda event: event["result"].update({field: value}))
    assert main(["rerun", "lenet_caffe"]) == 3
    captured = capsys.readouterr()
    assert hint in captured.err
    assert captured.out == ""


def test_the_table_says_then_and_now(log: Path, capsys: Capture) -> None:
    assert main(["rerun", log.stem[:15]]) == 0
    text = capsys.readouterr().out
    assert "bit for bit" in text
    assert "then" in text
    assert "of 30" in text
