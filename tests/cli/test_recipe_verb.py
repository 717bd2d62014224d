"""recipe list, show, diff and validate: what they print, and that they wait for no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from convarium.bakeoff.settings import LINE_UPS
from convarium.cli import main
from convarium.facts import paper_recipes
from convarium.recipes import PAPERS

Capture = pytest.CaptureFixture[str]
HEAVY = ("torch", "torchvision", "sklearn", "numpy", "altair", "PIL", "rich")
# What `resnet_cifar` and `wrn_cifar` print: ResNet section 4.2 and Wide ResNet section 3.
BETWEEN = {
    "epochs": (None, 200),
    "iterations": (64000, None),
    "nesterov": (False, True),
    "weight_decay": (1e-4, 5e-4),
    "schedule": ("step 0.1 at 32000,48000 iterations", "step 0.2 at 60,120,160 epochs"),
    "border": ("zero", "reflect"),
    "normalise": ("pixel mean", "channel"),
    "validation": (0.1, 0),
}


def from_json(capsys: Capture, *words: str) -> dict[str, Any]:
    """The one object that a verb prints with --json."""
    assert main(["recipe", *words, "--json"]) == 0
    raw: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert raw["schema"] == "convarium/1"
    return raw


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A recipe of a user's own."""
    path = tmp_path / "mine.toml"
    path.write_text('base = "resnet_cifar"\nepochs = 20\n')
    return path


@pytest.mark.parametrize("words", ["list", "show resnet_cifar", "diff wrn_cifar vgg16", "--help"])
def test_nothing_heavy_is_imported(words: str) -> None:
    code = (
        "import sys; from convarium.cli import main; main(['recipe', *sys.argv[1:]]); "
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_list_has_every_recipe_of_the_ledger(capsys: Capture) -> None:
    lines = {line["name"]: line for line in from_json(capsys, "list")["recipes"]}
    assert set(paper_recipes()) <= set(lines)
    assert "vgg_d" in lines["vgg_imagenet"]["networks"]
    assert (lines["vgg_imagenet"]["batch"], lines["vgg_imagenet"]["lr"]) == (256, 0.01)
    assert lines["yolov1_voc"]["detection"]


def test_list_is_a_line_a_recipe(capsys: Capture) -> None:
    assert main(["recipe", "list"]) == 0
    papers, short = capsys.readouterr().out.split("\n\n")
    assert [line.split()[0] for line in papers.splitlines()[1:]] == list(PAPERS)
    # The default races' networks, of small pictures and of photographs.
    assert len(short.splitlines()[1:]) == sum(map(len, LINE_UPS.values()))


@pytest.mark.parametrize(
    ("words", "epochs", "batch", "mirror"),
    [
        # docs/decisions/0001-short-recipes.md and docs/benchmarks.md have the lengths.
        ("lenet5, short, small", 14, 32, False),
        ("resnet18, short", 10, 32, True),  # photographs are what it takes
        ("resnet20_cifar, short, small, large", 14, 128, True),
        ("vgg_d,short", 10, 32, True),  # no row of its own
    ],
)
def test_show_takes_the_name_that_a_run_prints(
    words: str, epochs: int, batch: int, mirror: bool, capsys: Capture
) -> None:
    recipe = from_json(capsys, "show", words)["recipe"]
    assert (recipe["epochs"], recipe["batch"], recipe["mirror"]) == (epochs, batch, mirror)
    assert "short" in recipe["name"]
    assert all(recipe["sources"][field] for field in recipe if field != "sources")


@pytest.mark.parametrize("words", ["nope, short", "lenet5, short, tiny", "lenet5, long"])
def test_short_recipes_that_are_not_there(words: str, capsys: Capture) -> None:
    assert main(["recipe", "show", words]) == 2
    assert "is named" in capsys.readouterr().err


def test_diff_of_a_short_recipe_and_the_papers(capsys: Capture) -> None:
    found = from_json(capsys, "diff", "resnet20_cifar, short", "resnet20_cifar")["differences"]
    lengths = {row["field"]: row["second"] for row in found}
    assert lengths["iterations"] == 64000  # ResNet section 4.2


@pytest.mark.parametrize("name", PAPERS)
def test_show_has_every_field_with_its_source(name: str, capsys: Capture) -> None:
    recipe = from_json(capsys, "show", name)["recipe"]
    assert all(recipe["sources"][field] for field in recipe if field != "sources")


def test_show_tells_networks_hardware_and_what_is_left_out(capsys: Capture) -> None:
    assert main(["recipe", "show", "alexnet_imagenet"]) == 0
    text = capsys.readouterr().out
    for words in ("AlexNet section 5", "networks: alexnet_2gpu", "2x GTX 580 3GB, 5-6 days"):
        assert words in text
    assert "- dropout: the network's own" in text


def test_show_of_a_network_has_its_own_rows(capsys: Capture) -> None:
    assert from_json(capsys, "show", "vgg16")["recipe"]["init_from"] == "vgg_a"


def test_diff_has_only_what_differs(capsys: Capture) -> None:
    found = from_json(capsys, "diff", "resnet_cifar", "wrn_cifar")["differences"]
    assert {d["field"]: (d["first"], d["second"]) for d in found} == BETWEEN
    assert main(["recipe", "diff", "resnet_cifar", "resnet_cifar"]) == 0
    assert "do not differ" in capsys.readouterr().out


def test_a_file_is_checked_shown_and_compared(mine: Path, capsys: Capture) -> None:
    assert from_json(capsys, "validate", str(mine))["recipe"]["epochs"] == 20
    assert from_json(capsys, "show", str(mine))["networks"] == []
    found = from_json(capsys, "diff", str(mine), "resnet_cifar")["differences"]
    assert [d["field"] for d in found] == ["epochs", "iterations"]


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        ("show resnet_cifr", 2, "Did you mean resnet_cifar"),
        ("diff resnet_cifar wrn", 2, "Did you mean wrn_cifar"),
        ("show darknet53", 2, "detection training is not part of this version"),
        ("validate absent.toml", 3, "absent.toml: No such file"),
        ("shw", 2, "Did you mean 'show'"),
        ("show yolov3", 2, "yolov3 is not built in this version"),
        ("show yolov3_416", 2, "yolov3_416 is not built in this version"),
        ("list more", 2, "unexpected extra argument(s) (more). See"),
    ],
)
def test_a_wrong_word_is_one_line(words: str, code: int, hint: str, capsys: Capture) -> None:
    assert main(["recipe", *words.split()]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert hint in captured.err
    assert captured.err.count("\n") == 1
