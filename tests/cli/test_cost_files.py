"""`convarium cost` and `bench` on functions of users' files, on vectors and on words."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from convarium.cli import main
from convarium.cost.formats import schema

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


ODD = """
import os
from torch import nn

class OneValue(nn.Sequential):
    def __init__(self):
        pool = nn.AdaptiveAvgPool2d(1)
        super().__init__(nn.Conv2d(3, 8, 3), pool, nn.BatchNorm2d(8), nn.Flatten())

def wide(width, depth, *, scale=2):
    return nn.Conv2d(3, width, 3)
def kind():
    return OneValue
def ends():
    raise SystemExit
def sentence():
    return nn.LSTM(8, 8)
class Own(BaseException):
    pass
def own():
    raise Own("of its own kind")
def moves():
    os.chdir("/")
    return nn.Conv2d(3, 8, 3)
def shell():
    os.system("echo said by a shell")
    return nn.Conv2d(3, 8, 3)
"""
TOLD = [
    ("odd.py:wide", "wants width, depth; it is called without arguments"),
    ("odd.py:kind", "gives the class OneValue; it must give"),
    ("odd.py:ends", "it ends the program (SystemExit"),
    ("odd.py:own", "Own: of its own kind"),
    ("empty.py:net", "Known: none."),
    ("relative.py:net", "imported by their plain names"),
]


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "odd.py").write_text(ODD)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "relative.py").write_text("from .odd import moves as net")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("word", "said"), TOLD)
def test_a_file_that_gives_no_network(word: str, said: str, capsys, odd: Path) -> None:
    assert main(["cost", word, "--input", "3x8x8"]) in (2, 3)
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert said in told.err


def test_a_number_is_no_picture(capsys, odd: Path) -> None:
    """The `input_size` of an LSTM is how many features it takes."""
    assert main(["cost", "odd.py:sentence"]) == 2
    assert "does not say its input. Add --input" in capsys.readouterr().err


def test_a_file_that_changes_the_folder(odd: Path) -> None:
    """What --out names is in the folder that the command was given in."""
    assert main(["cost", "odd.py:moves", "--input", "3x8x8", "--out", "told.json"]) == 0
    assert json.loads((odd / "told.json").read_text())["params"] == 8 * 27 + 8


def test_what_a_program_of_the_network_prints_is_not_on_stdout(capfd, odd: Path) -> None:
    assert main(["cost", "odd.py:shell", "--input", "3x8x8", "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["params"] == 8 * 27 + 8
    assert "said by a shell" in err


@pytest.mark.parametrize("limit", ["1MB", "1kB"])
def test_the_largest_batch_of_a_network_that_takes_two(limit: str, capsys, odd: Path) -> None:
    """Its batch norm has one value a channel of each picture: a batch of one cannot be trained."""
    words = ["cost", "odd.py:OneValue", "--input", "3x16x16", "--training"]
    fit = told(capsys, *words, "--max-batch", limit)
    jsonschema.validate(fit, schema())
    assert fit["least_batch"] == 2
    if limit == "1kB":
        assert fit["max_batch"] == 0
        assert main([*words, "--max-batch", limit]) == 0
        assert "two pictures are too many" in capsys.readouterr().out
        return
    batch = fit["max_batch"]
    peaks = [
        told(capsys, *words, "--batch", str(n))["training_peak_bytes"] for n in (batch, batch + 1)
    ]
    assert peaks[0] <= 1_000_000 < peaks[1]


def test_a_limit_beyond_all_batches_says_so(capsys) -> None:
    assert main(["cost", "lenet5", "--max-batch", "9999999TB"]) == 0
    assert "more are not tried" in capsys.readouterr().out


UNHEEDED = [
    ("--sort", "macs", ["lenet5", "--format", "svg"]),
    ("--top", "2", ["lenet5", "--format", "html"]),
    ("--columns", "macs", ["lenet5", "--json"]),
    ("--columns", "macs", ["lenet5", "lenet_caffe"]),
    ("--depth", "1", ["lenet5", "lenet_caffe"]),
]


@pytest.mark.parametrize(("option", "value", "words"), UNHEEDED)
def test_an_option_that_changes_nothing_is_refused(option, value, words, capsys) -> None:
    assert main(["cost", *words, option, value]) == 2
    assert capsys.readouterr().err.startswith(f"error: {option} {value} goes with ")


def test_wide_letters_keep_the_columns(capsys, tmp_path: Path) -> None:
    """Letters of East Asia are two cells wide (Unicode's annex 11), accents of their own none."""
    names = ["\u5c64", "e\u0301", "plain"]
    path = tmp_path / "\u7db2 one.py"
    layers = ", ".join(f"({name!r}, nn.Conv2d(1, 1, 1))" for name in names)
    code = "from torch import nn\nfrom collections import OrderedDict as O\n"
    path.write_text(f"{code}def net():\n    return nn.Sequential(O([{layers}]))\n", "utf-8")
    assert main(["cost", f"{path}:net", "--input", "1x4x4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = {name: len(name) + extra for name, extra in zip(names, (1, -1, 0), strict=True)}
    at = lines[0].index("kind")
    for line, name in zip(lines[1:4], names, strict=True):
        assert line.index("Conv2d") - len(name) + cells[name] == at


def test_a_name_that_is_no_unicode_is_written_out(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\ndef net():\n    net = nn.Sequential()\n"
        "    net.add_module('\\ud800', nn.Conv2d(1, 1, 1))\n    return net\n"
    )
    out = tmp_path / "told.json"
    words = ["cost", f"{tmp_path / 'net.py'}:net", "--input", "1x4x4", "--out", str(out)]
    assert main(words) == 0
    assert json.loads(out.read_text("utf-8"))["rows"][0]["name"] == "\ud800"
