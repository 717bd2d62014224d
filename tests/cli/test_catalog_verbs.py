"""list, show and cost: what they print, and that the first two wait for no heavy library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from convarium import catalog
from convarium.cli import main
from convarium.cli.cost import parse_size
from convarium.cli.text import columns, short
from convarium.errors import UsageError
from convarium.facts import model_facts

Capture = pytest.CaptureFixture[str]
HEAVY = ("torch", "torchvision", "sklearn", "numpy", "altair", "PIL", "rich")
LIGHT = (
    ["--help"],
    ["list"],
    ["list", "vgg*", "--json"],
    ["show", "resnet50"],
    ["show", "vgg16", "--json"],
    ["version"],
    ["bakeoff", "--help"],
    ["nonsense"],
)


def from_json(capsys: Capture, *words: str) -> dict[str, Any]:
    """The one object that a verb prints with --json."""
    assert main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    raw: dict[str, Any] = json.loads(captured.out)
    assert raw["schema"] == "convarium/1"
    return raw


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_nothing_heavy_is_imported(words: list[str]) -> None:
    code = (
        "import sys; from convarium.cli import main; main(sys.argv[1:]); "
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("typed", "some"),
    [("convarium show resnet1", "resnet101"), ("convarium cost vgg1", "vgg16")],
)
def test_completion_knows_the_networks(typed: str, some: str) -> None:
    code = "import sys; from convarium.cli import main; sys.exit(main())"
    words = {"COMP_WORDS": typed, "COMP_CWORD": "2", "_CONVARIUM_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **words},
        check=False,
    )
    assert some in done.stdout.split()


def test_list_has_every_network_with_its_columns(capsys: Capture) -> None:
    models = from_json(capsys, "list")["models"]
    assert [model["name"] for model in models] == list(catalog.CATALOG)
    vgg = next(model for model in models if model["name"] == "vgg_d")
    # VGG, table 2 and section 2.1: 138M parameters; ICLR 2015; 224x224 RGB.
    assert (vgg["family"], vgg["year"], vgg["input"]) == ("vgg", 2015, [3, 224, 224])
    assert round(vgg["params"] / 1e6) == 138
    assert vgg["aliases"] == ["vgg16"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("vgg_?",), ["vgg_a", "vgg_b", "vgg_c", "vgg_d", "vgg_e"]),
        (("lenet",), ["lenet5", "lenet_caffe"]),
        (("--family", "zfnet"), ["zfnet"]),
        (("vgg_[ad]", "--sort", "macs"), ["vgg_a", "vgg_d"]),
        (("*vgg9*",), []),
    ],
)
def test_list_finds(capsys: Capture, words: tuple[str, ...], names: list[str]) -> None:
    assert [model["name"] for model in from_json(capsys, "list", *words)["models"]] == names


def test_list_sorts_upwards(capsys: Capture) -> None:
    params = [m["params"] for m in from_json(capsys, "list", "--sort", "params")["models"]]
    assert params == sorted(params)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("list", "--sort", "parms"), "Did you mean params?"),
        (("list", "--family", "vg"), "Did you mean vgg?"),
        (("show", "vgg_x"), "Did you mean vgg_"),
        (("show", "plain20"), "Did you mean plain20_cifar"),
        (("cost", "vgg_d", "--input", "224"), "such as 3x224x224"),
        (("cost", "vgg_d", "--batch", "0"), "batch"),
        (("show",), "NAME"),
    ],
)
def test_a_wrong_word_is_exit_code_2_and_a_hint(
    capsys: Capture, words: tuple[str, ...], hint: str
) -> None:
    assert main(list(words)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert hint in captured.err
    assert captured.err.count("\n") == 1


def test_show_tells_what_the_paper_prints(capsys: Capture) -> None:
    assert main(["show", "vgg16"]) == 0
    text = capsys.readouterr().out
    for words in ("vgg_d", "138,357,544", "138M (Table 2)", "also called vgg16", "Table 5", "fc8"):
        assert words in text


def test_show_marks_what_is_from_memory(capsys: Capture) -> None:
    recalled = next(n for n in catalog.CATALOG if model_facts(n).confidence == "memory")
    assert main(["show", recalled]) == 0
    assert "(from memory)" in capsys.readouterr().out


def test_show_says_that_a_row_is_beyond_the_papers(capsys: Capture) -> None:
    assert main(["show", "vgg_a_32px"]) == 0
    text = capsys.readouterr().out
    assert "a row beyond the papers" in text
    assert "Departures" in text


@pytest.mark.parametrize("name", catalog.CATALOG)
def test_show_works_for_every_network(name: str, capsys: Capture) -> None:
    assert main(["show", name]) == 0
    assert f"{name}  " in capsys.readouterr().out


def test_show_as_json_has_layers_and_facts(capsys: Capture) -> None:
    raw = from_json(capsys, "show", "vgg16")
    assert raw["model"] == "vgg_d"
    assert raw["facts"]["params"]["printed"] == "138M (Table 2)"
    assert [layer["params"] for layer in raw["layers"]][-1] == 4096 * 1000 + 1000


def test_cost_counts_at_any_input(capsys: Capture) -> None:
    raw = from_json(capsys, "cost", "vgg_a", "--input", "1x224x224", "--batch", "2")
    known = model_facts("vgg_a")
    # conv1 has 64 filters of 3x3 on one channel in place of three.
    assert raw["params"] == known.params.exact - 2 * 9 * 64
    assert raw["macs"] == 2 * (known.macs.exact - 2 * 9 * 64 * 224 * 224)
    assert sum(row["macs"] for row in raw["rows"]) == raw["macs"]


def test_cost_of_several_is_one_table(capsys: Capture) -> None:
    assert main(["cost", "squeezenet1_1", "vgg_a", "vgg11"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["network", "squeezenet1_1", "vgg_a"]


def test_no_colour_reaches_a_pipe(capsys: Capture) -> None:
    assert main(["show", "lenet5"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(("no_color", "bold"), [("", True), ("1", False)])
def test_no_color_is_honoured_on_a_terminal(no_color: str, bold: bool) -> None:
    import pty

    ours, theirs = pty.openpty()
    code = "import sys; from convarium.cli import main; sys.exit(main(['list', 'vgg_d']))"
    environment = {**os.environ, "NO_COLOR": no_color, "TERM": "xterm"}
    done = subprocess.run([sys.executable, "-c", code], stdout=theirs, env=environment, check=True)
    os.close(theirs)
    written = os.read(ours, 10_000)
    os.close(ours)
    assert done.returncode == 0
    assert (b"\x1b[1m" in written) == bold


@pytest.mark.parametrize("text", ["224", "3x0x224", "-3x2x2", "3x2x2x2x2", "3x224x", "x"])
def test_sizes_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="CHANNELSxHEIGHTxWIDTH"):
        parse_size(text)


def test_a_vector_is_one_side_where_it_may_be() -> None:
    assert parse_size("784", least=1) == (784,)


@pytest.mark.parametrize("size", [(5, 80), (3, 224, 200), (3, 16, 112, 112)])
def test_sizes_of_sequences_pictures_and_videos(size: tuple[int, ...]) -> None:
    assert parse_size("x".join(map(str, size))) == size


def test_columns_align_left_and_right() -> None:
    text = columns(("a", "b"), [("long", "1"), ("x", "100")], right="lr")
    assert text.splitlines() == ["a       b", "long    1", "x     100"]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (999, "999"), (1000, "1.00 k"), (999_999, "1.00 M")]
)
def test_short_counts(count: int, text: str) -> None:
    assert short(count) == text
