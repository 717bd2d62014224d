"""`convarium cost`: formats, sources, bad input."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

import convarium
from convarium.cli import main
from convarium.cli.cost_batch import parse_bytes
from convarium.cli.cost_text import FORMATS
from convarium.cost.columns import COLUMNS
from convarium.cost.formats import schema
from convarium.cost.listing import ROW_KEYS

NETS = """
import torch
from torch import nn

class Two(nn.Module):
    def forward(self, x, y):
        return x + y

class Inner(nn.Module):
    def forward(self, x):
        raise RuntimeError("the user's own error")

class Reads(nn.Conv2d):
    def forward(self, x):
        x = super().forward(x)
        return x if x.mean().item() < 9 else 2 * x

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
def elsewhere_wrong():
    return nn.Conv2d(3, 8, 3).to("nowhere")
def number():
    return 7
class Talks(nn.Conv2d):
    def forward(self, x):
        print("a picture of", len(x))
        return super().forward(x)

class Ends(nn.Module):
    def forward(self, x):
        raise SystemExit(0)

def talks():
    print("built")
    return Talks(3, 8, 3)
def ends():
    return Ends()
def volume():
    return nn.Conv3d(3, 8, (2, 3, 3))
def reads():
    return Reads(3, 8, 3)
def elsewhere():
    return nn.Conv2d(3, 8, 3, device="meta")
def huge():
    with torch.device("meta"):
        return nn.Sequential(nn.Flatten(), nn.Linear(300, 300), nn.Linear(300, 8_333_333))
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


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_every_key_of_a_row_is_a_column(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = out_of(capsys, "lenet5", "--training", "--columns", "all", "--format", form)
    header = text.splitlines()[0]
    assert set(COLUMNS) == set(ROW_KEYS)
    places = [header.find(column.title) for column in COLUMNS.values()]
    assert -1 not in places


@pytest.mark.parametrize("key", ROW_KEYS)
def test_every_column_sorts(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(out_of(capsys, "lenet5", "--training", "--sort", key, "--json"))
    values = [row[key] for row in found["rows"] if row[key] is not None]
    if key == "output_shape":  # larger first, and then in the order of the forward pass
        assert values == sorted(values, reverse=True)
    else:
        assert values == sorted(values, reverse=not isinstance(values[0], str))


def test_memory_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    """Peaks are those of `predict_memory`, kept bytes those of its step."""
    words = ("squeezenet1_1", "--training", "--optimizer", "adam", "--precision", "bf16")
    words += ("--batch", "2")
    found = json.loads(out_of(capsys, *words, "--json"))
    jsonschema.validate(found, schema())
    step = {"batch_size": 2, "precision": "bf16"}
    train = convarium.predict_memory("squeezenet1_1", optimizer="adam", **step)
    infer = convarium.predict_memory("squeezenet1_1", training=False, **step)
    assert found["training_peak_bytes"] == train.peak_bytes
    assert found["inference_peak_bytes"] == infer.peak_bytes < train.peak_bytes
    assert found["kept_bytes"] == sum(row["kept_bytes"] for row in found["rows"])
    assert found["activation_bytes"] == sum(row["activation_bytes"] for row in found["rows"])
    shown = f"{train.peak_bytes / 1e6:,.2f} MB"
    for form in ("table", "markdown", "html"):
        text = out_of(capsys, *words, "--format", form)
        assert "peak, training, adam, bf16" in text
        assert shown in text
    csv = out_of(capsys, *words, "lenet5", "--format", "csv")
    assert f",{infer.peak_bytes},{train.peak_bytes},adam,bf16," in csv


@pytest.mark.parametrize("step", [[], ["--training", "--optimizer", "momentum"]])
def test_the_largest_batch(step: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The batch that is answered fits, and one more does not."""
    words = ["squeezenet1_1", "--input", "3x64x64", *step]
    fit = json.loads(out_of(capsys, *words, "--max-batch", "64MB", "--json"))
    jsonschema.validate(fit, schema())
    peaks = []
    for batch in (fit["max_batch"], fit["max_batch"] + 1):
        found = json.loads(out_of(capsys, *words, "--batch", str(batch), "--json"))
        peaks.append(found["training_peak_bytes" if step else "inference_peak_bytes"])
    assert peaks[0] == fit["peak_bytes"] <= 64_000_000 == fit["limit_bytes"] < peaks[1]


def test_the_largest_batch_of_several(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("lenet5", "alexnet", "--max-batch", "0.2GiB")
    found = json.loads(out_of(capsys, *words, "--json"))
    jsonschema.validate(found, schema())
    assert [model["limit_bytes"] for model in found["models"]] == [int(0.2 * 2**30)] * 2
    assert found["models"][1]["max_batch"] == 0  # AlexNet's parameters alone are 244 MB
    assert "one picture is too many" in out_of(capsys, *words)
    assert out_of(capsys, *words, "--format", "csv").startswith("name,input_size,limit_bytes,")
    assert out_of(capsys, *words, "--format", "markdown").startswith("| network |")


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("8GB", 8 * 10**9),
        ("8GiB", 8 * 2**30),
        ("512MB", 512 * 10**6),
        ("1.5 gib", 3 * 2**29),
        ("640kB", 640_000),
        ("100", 100),
        ("7b", 7),
        ("2T", 2 * 10**12),
    ],
)
def test_sizes_of_memory(text: str, nbytes: int) -> None:
    assert parse_bytes(text) == nbytes


def test_a_network_that_reads_values(capsys: pytest.CaptureFixture[str], nets: str) -> None:
    words = (f"{nets}:reads", "--input", "3x8x8")
    assert "traced on cpu" in out_of(capsys, *words)
    assert "carried on by a line" in out_of(capsys, *words, "--max-batch", "1MB")


def test_a_model_of_ten_gigabytes_on_another_device(
    capsys: pytest.CaptureFixture[str], nets: str
) -> None:
    words = (f"{nets}:huge", "--input", "3x10x10", "--json")
    found = json.loads(out_of(capsys, *words, "--training", "--optimizer", "adam"))
    params = 300 * 300 + 300 + 300 * 8_333_333 + 8_333_333
    assert found["params"] == params > 2.5e9
    assert 4 * params < found["inference_peak_bytes"] < found["training_peak_bytes"]
    assert json.loads(out_of(capsys, *words, "--max-batch", "8GB"))["max_batch"] == 0
    found = json.loads(out_of(capsys, f"{nets}:elsewhere", "--input", "3x8x8", "--json"))
    assert found["macs"] == 6 * 6 * 8 * 27


def test_what_a_network_prints_is_not_on_stdout(capsys, nets: str) -> None:
    assert main(["cost", f"{nets}:talks", "--input", "3x8x8", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["macs"] == 6 * 6 * 8 * 27
    assert "built" in captured.err
    assert "a picture of 1" in captured.err


def test_a_video(capsys, nets: str) -> None:
    """Three frames as a volume: 2 x 6 x 6 places of 8 filters of 3 x 2 x 3 x 3."""
    words = ("cost", f"{nets}:volume", "--input", "3x3x8x8", "--json")
    assert main([*words]) == 0
    assert json.loads(capsys.readouterr().out)["macs"] == 2 * 36 * 8 * 54


HOSTILE = """
from torch import nn

def net():
    layers = nn.Sequential()
    for name in ("<script>alert(1)</script>", "=1+1|`x`", 'quote"\\n| row', "\\x1b[31m"):
        layers.add_module(name, nn.Conv2d(1, 1, 1))
    return layers
"""


def test_layer_names_are_inert_in_every_format(tmp_path: Path) -> None:
    """Four layers whose names are HTML, a formula, another row and a terminal's command."""
    path = tmp_path / "hostile.py"
    path.write_text(HOSTILE)
    told = {}
    for form in FORMATS:
        words = ["cost", f"{path}:net", "--input", "1x4x4", "--format", form]
        assert main([*words, "--out", str(tmp_path / "out")]) == 0
        told[form] = (tmp_path / "out").read_text()
    assert not any("<script>alert" in told[form] for form in ("markdown", "svg", "html"))
    assert not any("\x1b" in told[form] for form in FORMATS if form != "csv")
    ElementTree.fromstring(told["svg"])
    names = [row["name"] for row in csv.DictReader(io.StringIO(told["csv"]))]
    assert names[:2] == ["<script>alert(1)</script>", "'=1+1|`x`"]
    assert len(names) == 4
    bars = re.compile(r"(?<!\\)\|")  # those that end a cell
    rows = [line for line in told["markdown"].splitlines() if line.startswith("| ")]
    tables = {len(bars.findall(line)) for line in rows}
    assert len(rows) >= 4 + 2
    assert len(tables) <= 2  # the layers', and the totals'


def test_a_syntax_error_tells_its_own_line(tmp_path: Path, capsys) -> None:
    path = tmp_path / "torn.py"
    path.write_text("import torch\n\ndef net(:\n    pass\n")
    assert main(["cost", f"{path}:net", "--input", "1x4x4"]) == 3
    told = capsys.readouterr().err
    assert re.findall(r"line (\d+)", told) == ["3"]


BAD = [
    (["vgg_d", "--max-batch", "8XB"], 2, "write 8GB, 8GiB or 512MB"),
    (["vgg_d", "--max-batch", "-8GB"], 2, "write 8GB, 8GiB or 512MB"),
    (["vgg_d", "--max-batch", "8iB"], 2, "write 8GB, 8GiB or 512MB"),
    (["vgg_d", "--max-batch", "0GB"], 2, "less than one byte"),
    (["vgg_d", "--max-batch", "8GB", "--format", "svg"], 2, "has no svg"),
    (["vgg_d", "--max-batch", "8GB", "--batch", "1"], 2, "--max-batch goes with --input"),
    (["vgg_d", "--max-batch", "8GB", "--depth", "1"], 2, "--max-batch goes with --input"),
    (["vgg_d", "--max-batch", "8GB", "--sort", "macs"], 2, "--max-batch goes with --input"),
    (["vgg_d", "--max-batch", "8GB", "--top", "3"], 2, "--max-batch goes with --input"),
    (["vgg_d", "--max-batch", "8GB", "--columns", "macs"], 2, "--max-batch goes with --input"),
    (["vgg_d", "--training", "--optimizer", "adan"], 2, "Did you mean adam"),
    (["vgg_d", "--optimizer", "adam"], 2, "Add --training"),
    (["vgg_d", "--precision", "fp16"], 2, "no precision is named"),
    (["lenet5", "--columns", "mac"], 2, "Did you mean macs"),
    (["{nets}:fails", "--input", "3x8x8", "--max-batch", "1GB"], 3, "in 1 cannot take"),
    (["{nets}:two", "--input", "3x8x8", "--max-batch", "1GB"], 3, "Wrap it in a module"),
    (["{nets}:good", "--max-batch", "1GB"], 2, "--input 3x224x224"),
    (["{nets}:good"], 2, "--input 3x224x224"),
    (["{nets}:goood"], 2, "Did you mean good"),
    (["{nets}:broken"], 3, "line 29: ValueError: no weights here"),
    (["{nets}:elsewhere_wrong"], 3, "nets.py line 31: RuntimeError"),
    (["{nets}:number"], 3, "gives int; it must"),
    (["{nets}:ends", "--input", "3x8x8"], 3, "it ends the program (SystemExit 0)"),
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
