"""`convarium cost` and `bench` on functions of users' files, on vectors and on words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convarium.cli import main

NETS = """
from torch import nn

def make():
    return nn.Linear(8, {outputs})

model = make()

def text():
    return nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, {outputs}))
"""


@pytest.fixture
def nets(tmp_path: Path) -> tuple[str, str]:
    """Two files of one name."""
    paths = []
    for folder, outputs in (("a", 4), ("b", 6)):
        path = tmp_path / folder / "net.py"
        path.parent.mkdir()
        path.write_text(NETS.format(outputs=outputs))
        paths.append(str(path))
    return paths[0], paths[1]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("what", ["make", "model"])
def test_a_vector(what: str, capsys, nets) -> None:
    report = told(capsys, "cost", f"{nets[0]}:{what}", "--input", "8")
    assert (report["macs"], report["input_size"]) == (8 * 4, [8])


def test_words(capsys, nets) -> None:
    """A sentence of 16 words, whole numbers of 8 bytes, given to a table of embeddings."""
    word = f"{nets[0]}:text"
    report = told(capsys, "cost", word, "--input", "16", "--training")
    assert (report["macs"], report["rows"][0]["bytes_read"]) == (16 * 8 * 4, 4 * 800 + 8 * 16)
    assert report["training_peak_bytes"] > report["inference_peak_bytes"] > 4 * 800
    assert told(capsys, "cost", word, "--input", "16", "--max-batch", "1MB")["max_batch"] > 100


def test_functions_of_one_name_in_files_of_one_name(capsys, nets) -> None:
    words = [f"{path}:make" for path in nets]
    models = told(capsys, "cost", *words, words[0], "--input", "8")["models"]
    assert [(m["name"], m["macs"]) for m in models] == [("net.py:make", 32), (words[1], 48)]


def test_a_file_without_its_function(capsys, nets) -> None:
    assert main(["cost", nets[0]]) == 2
    assert f"{nets[0]} is a file: name its function too" in capsys.readouterr().err


def test_predicted_times_are_of_the_precision_asked_for(
    capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONVARIUM_HOME", str(tmp_path))
    asked = ["cost", "lenet5", "--predict-time", "--threads", "1", "--precision", "bf16"]
    assert main(asked) == 2
    assert "not calibrated for 1 thread, bf16" in capsys.readouterr().err


def test_bench_of_words_and_of_files_of_one_name(
    capsys, nets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONVARIUM_HOME", str(tmp_path))
    words = [f"{path}:text" for path in nets]
    report = told(capsys, "bench", *words, "--input", "5", "--seconds", "0.1", "--threads", "1")
    assert [point["name"] for point in report["points"]] == ["net.py:text", words[1]]
