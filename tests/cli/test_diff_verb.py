"""`convarium diff`: text, JSON, the page, exit codes."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from convarium.cli import main

PAIR = ["diff", "vgg_a", "vgg_a_lrn"]


def test_text_tells_only_what_differs(capsys) -> None:
    assert main(PAIR) == 0
    text = capsys.readouterr().out
    assert text.startswith("vgg_a -> vgg_a_lrn: the same parameters (132,863,336)")
    assert "features.lrn1: response normalisation, only in vgg_a_lrn" in text
    assert "features.conv1_1" not in text


def test_all_tells_every_layer(capsys) -> None:
    assert main([*PAIR, "--all"]) == 0
    text = capsys.readouterr().out
    assert all(f"features.conv{n}_1" in text for n in range(1, 6))


def test_equal_networks_differ_in_nothing(capsys) -> None:
    assert main(["diff", "lenet5", "lenet5"]) == 0
    assert capsys.readouterr().out.strip() == "lenet5 -> lenet5: no difference"


def test_json_is_one_object(capsys) -> None:
    assert main(["diff", "resnet50", "resnet50_v1_5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "convarium/1"
    assert (found["params_difference"], found["a"]["params"]) == (0, 25_557_032)
    assert sum(row["macs_difference"] for row in found["rows"]) == found["macs_difference"]
    assert sum(line["macs"] for line in found["summary"]) == found["macs_difference"]
    assert {row["status"] for row in found["rows"]} == {"same", "changed"}


def test_input_sizes_both(capsys) -> None:
    assert main(["diff", "resnet50", "resnet50_v1_5", "--input", "3x64x64", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["a"]["input"] == found["b"]["input"] == [3, 64, 64]


class Page(HTMLParser):
    """Counts the tags of a page and keeps every address that it names."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]


def test_page_is_whole_and_asks_for_nothing(tmp_path: Path, capsys) -> None:
    path = tmp_path / "pages" / "diff.html"
    assert main(["diff", "alexnet_owt", "torchvision:alexnet", "--html", str(path)]) == 0
    text = path.read_text("utf-8")
    page = Page()
    page.feed(text)
    assert "script" not in page.tags
    assert all(address.startswith("#") for address in page.addresses)
    assert not re.search(r"<!--(?!\s)|url\(|@import", text)
    assert "384 -&gt; 256 filters" in text
    assert "-737,408 parameters" in text
    assert page.tags.count("article") == 4  # LRN, conv4, the adaptive pool, the dropouts' place


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["diff", "vgg_aa", "vgg_a"], 2, "Did you mean vgg_a"),
        (["diff", "vgg_a"], 2, "missing argument 'B'"),
        (["diff", "vgg_a", "nothing.json"], 3, "no such file"),
        (["diff", "vgg_a", "vgg_b", "--input", "224"], 2, "CHANNELSxHEIGHTxWIDTH"),
    ],
)
def test_what_cannot_be_done_ends_with_its_code(words, code, says, capsys) -> None:
    assert main(words) == code
    assert says in capsys.readouterr().err
