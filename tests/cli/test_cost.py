"""`convarium cost`: formats, sources, bad input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest

from convarium.cli import main
from convarium.cli.cost_text import FORMATS
from convarium.cost.formats import schema

NETS = """
import torch
from torch import nn

class Two(nn.Module):
    def forward(self, x, y):
        return x + y

class Inner(nn.Module):
    def forward(self, x):
        raise RuntimeError("the user's own error")

def good():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
def sized():
    net = good()
    net.input_size = (3, 10, 10)
    return net
def two():
    return Two()
def fails():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ModuleDict({"deep": Inner()})["deep"])
def broken():
    raise ValueError("no weights here")
def number():
    return 7
def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
"""


@pytest.fixture
def nets(tmp_path: Path) -> str:
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return str(path)


def out_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["cost", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("form", FORMATS)
def test_two_runs_give_equal_bytes(form: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.out" for n in range(2)]
    for file in files:
        assert main(["cost", "resnet20_cifar", "--format", form, "--out", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes() != b""


def test_json_fits_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    one = json.loads(out_of(capsys, "lenet5", "--json", "--training", "--depth", "1"))
    jsonschema.validate(one, schema())
    assert one["macs"] == sum(row["macs"] for row in one["rows"])
    assert one["macs_backward"] > 0
    many = json.loads(out_of(capsys, "lenet5", "lenet_caffe", "--json"))
    jsonschema.validate(many, schema())
    assert [model["name"] for model in many["models"]] == ["lenet5", "lenet_caffe"]


def test_an_alias_is_not_counted_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(out_of(capsys, "vgg11", "vgg_a", "--json"))["name"] == "vgg_a"


def test_backward_is_counted_on_request_alone(capsys: pytest.CaptureFixture[str], nets) -> None:
    found = json.loads(out_of(capsys, f"{nets}:sized", "--json"))
    assert (found["macs"], found["macs_backward"]) == (8 * 8 * 8 * 27, 0)


def test_the_file_ending_says_the_format(tmp_path: Path) -> None:
    file = tmp_path / "net.svg"
    assert main(["cost", "lenet5", "--out", str(file)]) == 0
    assert file.read_text().startswith("<svg ")


def test_the_rest_is_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    text = out_of(capsys, "vgg_a", "--sort", "macs", "--top", "2")
    lines = text.splitlines()
    assert "more rows)" in lines[3]
    assert lines[1].split()[0] == "features.conv3_2"


def test_other_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm", reason="timm is an extra")
    found = json.loads(out_of(capsys, "torchvision:resnet18", "timm:resnet18", "--json"))
    first, second = found["models"]
    assert first["macs"] == second["macs"] == 1_814_073_344  # torchvision prints 1.814 GMACs
    assert first["params"] == second["params"]


def test_a_missing_library_names_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert main(["cost", "timm:resnet18"]) == 4
    assert "pip install 'convarium[timm]'" in capsys.readouterr().err


BAD = [
    (["{nets}:good"], 2, "--input 3x224x224"),
    (["{nets}:goood"], 2, "Did you mean good"),
    (["{nets}:broken"], 3, "ValueError: no weights here"),
    (["{nets}:number"], 3, "gives a int"),
    (["{nets}:two", "--input", "3x8x8"], 3, "Wrap it in a module"),
    (["{nets}:fails", "--input", "3x8x8"], 3, "in 1 cannot take a picture of 1x3x8x8"),
    (["{nets}:linear", "--input", "3x8x8"], 3, "in 1 cannot take"),
    (["{nets}:good", "--input", "3x2x2"], 3, "Kernel size"),
    (["nothing.py:net"], 3, "is not a file"),
    (["keras:resnet50"], 2, "torchvision:NAME"),
    (["torchvision:resnet51"], 2, "Did you mean resnet50"),
    (["vgg_d", "--input", "224"], 2, "such as 3x224x224"),
    (["vgg_d", "--input", "3x0x224"], 2, "such as 3x224x224"),
    (["vgg_d", "--sort", "mac"], 2, "Did you mean macs"),
    (["vgg_d", "--format", "pdf"], 2, "Known: table"),
    (["vgg_d", "--json", "--format", "csv"], 2, "two formats"),
    (["vgg_d", "vgg_a", "--format", "svg"], 2, "draws one network"),
    (["vgg_d", "--top", "0"], 2, "--top"),
]


@pytest.mark.parametrize(("words", "code", "said"), BAD, ids=lambda v: str(v)[:40])
def test_bad_input_is_one_sentence(
    words: list[str], code: int, said: str, nets: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", *(word.format(nets=nets) for word in words)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err
