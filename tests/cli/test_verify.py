"""`convarium verify`: exit codes, JSON, the page."""

from __future__ import annotations

import json
import re

import pytest

from convarium import api
from convarium.cli import main
from convarium.verify.verdict import Verdict


def test_a_network_that_stands_ends_with_0(capsys) -> None:
    assert main(["verify", "vgg_d"]) == 0
    text = capsys.readouterr().out
    assert "1 network:" in text
    assert "Where they differ, and why" in text


def test_a_difference_without_a_reason_ends_with_1(monkeypatch, capsys) -> None:
    odd = Verdict("vgg_d", "params", "139M", 138357544, "DIFFERS", None, "Table 2", "sourced")
    monkeypatch.setattr(api, "verify", lambda name: [odd])
    assert main(["verify", "vgg_d"]) == 1
    assert "NO REASON IS KNOWN" in capsys.readouterr().out


def test_a_misspelt_name_ends_with_2(capsys) -> None:
    assert main(["verify", "vgg_dd"]) == 2
    assert "Did you mean vgg_d" in capsys.readouterr().err


def test_no_name_at_all_ends_with_2(capsys) -> None:
    assert main(["verify"]) == 2
    assert "--all" in capsys.readouterr().err


def test_json_is_one_object(capsys) -> None:
    assert main(["verify", "lenet5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "convarium/1"
    assert len(found["conflicts"]) == 25
    assert set(found["summary"]) == {"agrees", "differs", "silent"}
    fields = {"model", "fact", "printed", "ours", "verdict", "reason", "where", "confidence"}
    assert all(set(v) == fields for v in found["verdicts"])
    assert sum(found["summary"].values()) == len(found["verdicts"])


@pytest.fixture
def page(tmp_path) -> str:
    assert main(["verify", "googlenet", "--html", str(tmp_path / "v.html")]) == 0
    return (tmp_path / "v.html").read_text("utf-8")


def test_the_page_asks_nothing_of_any_network(page) -> None:
    assert not re.search(r"<script|https?://|<link|url\(|@import", page)


def test_the_page_says_why_and_lists_every_conflict(page) -> None:
    assert "a full 7x7 filter bank has 9,408 weights" in page
    assert page.count("<dt>") == 25
    assert "<!--" not in page


def test_the_page_marks_what_is_from_memory(page) -> None:
    assert "from memory" in page


def test_a_folder_that_cannot_be_written_ends_with_3(tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["verify", "lenet5", "--html", str(tmp_path / "file" / "v.html")]) == 3
    assert "cannot be written" in capsys.readouterr().err
