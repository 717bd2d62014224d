"""Folders of strangers on the command line: names of any bytes, users who are none, bad files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convarium.cli import main
from convarium.records import overview

Capture = pytest.CaptureFixture[str]
PLAIN = ("--threads", "1", "--precision", "fp32", "--layout", "contiguous", "--epochs", "1")


def fill(folder: Path) -> Path:
    """Two classes of six small pictures each."""
    draws = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            pixels = draws.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def train(data: Path, out: Path, *words: str) -> int:
    """One epoch of a LeNet."""
    return main(["train", "lenet_caffe", "--data", str(data), *PLAIN, "--out", str(out), *words])


@pytest.mark.parametrize(
    "words",
    [
        ("data", "check", "{}"),
        ("train", "lenet5", "--data", "{}"),
        ("predict", "{}", "x.png"),
        ("recipe", "validate", "{}"),
        ("train", "lenet5", "--data", "digits", "--resume", "{}", "--out", "out"),
    ],
    ids=lambda words: words[0],
)
def test_the_home_of_nobody_is_a_folder_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "~no_user_of_this_name/photos"
    assert main([word.format(name) for word in words]) == 3
    assert name in capsys.readouterr().err.splitlines()[-1]


def test_a_link_that_leads_to_itself_is_named(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert main(["train", "lenet5", "--data", str(tmp_path / "loop")]) == 3
    assert f"{tmp_path / 'loop'} is no folder" in capsys.readouterr().err


def test_a_folder_whose_name_is_no_text_is_trained_on(tmp_path: Path, capsys: Capture) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/no \xff utf-8"))
    try:
        fill(odd)
    except OSError as error:
        pytest.skip(f"this file system takes no such name: {error}")
    out = odd.with_name(f"{odd.name} run")
    assert train(odd, out) == 0
    assert (out / "report.html").is_file()
    assert [one.data for one in overview()] == ["no \\xff utf-8"]
    capsys.readouterr()
    assert main(["rerun", "lenet_caffe"]) == 3
    assert f"{tmp_path}/no \\xff utf-8 does not exist" in capsys.readouterr().err


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Pictures, and one file that is none under a picture's name."""
    folder = fill(tmp_path / "mixed")
    (folder / "bee" / "bad.jpg").write_bytes(b"no picture")
    return folder


def test_what_was_left_out_is_left_out_again(mixed: Path, tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "run"
    assert train(mixed, run, "--skip-bad") == 0
    capsys.readouterr()
    assert main(["rerun", "lenet_caffe", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert told["verdict"] == "same"
    line = ["eval", "lenet_caffe", "--weights", str(run / "last.safetensors"), "--data", str(mixed)]
    assert main(line) == 3
    assert "leave them out with --skip-bad" in capsys.readouterr().err
    assert main([*line, "--skip-bad", "--json"]) == 0
    captured = capsys.readouterr()
    assert "left out, 1 that cannot be read: bee/bad.jpg" in captured.err
    assert json.loads(captured.out)["top1_total"] == told["top1_total"]
