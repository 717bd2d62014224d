"""The written page: complete, escaped, and whole for races of every shape."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import altair
import pytest
from report_races import LINE_UP, failed, hostile_race, make_race, make_result

from convarium.report import write_report


class Page(HTMLParser):
    """Tags, attributes and text of a page, scripts apart."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.html = path.read_text("utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_every_network_is_in_the_table(page_path):
    keys = [attrs.get("id") for tag, attrs in Page(page_path).tags if tag == "tr"]
    assert {f"row-n{n}" for n in range(len(LINE_UP))} <= set(keys)


def test_sentence_command_and_versions_are_told(page_path, race):
    text = Page(page_path).text
    for part in (race.sentence, race.command, "torch 2.14.1", "seed 0", "1 March 2026, 12:30 UTC"):
        assert part in text


def test_the_charts_are_vega_lite_by_its_schema(page_path):
    """The page is written without altair's own checks, which take a third of its time."""
    specs = _data(page_path)["specs"]
    assert len(specs) > len(LINE_UP)
    kinds = {re.sub(r"-\d+$", "", name): spec for name, spec in specs.items()}
    assert len(kinds) > 6
    for spec in kinds.values():
        altair.Chart.from_dict(spec, validate=True)


def test_no_address_leaves_the_page(page_path):
    for tag, attrs in Page(page_path).tags:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            address = attrs.get(name)
            assert address is None or address.startswith(("#", "data:")), (tag, address)


def test_the_page_stays_under_two_megabytes(page_path):
    assert page_path.stat().st_size < 2_000_000


def test_each_chart_lies_beside_the_page_as_svg_and_png(page_path):
    specs = _data(page_path)["specs"]
    folder = page_path.parent / "report-charts"
    assert len(specs) == 2 + 4 + 1 + len(LINE_UP)
    for name in specs:
        svg = (folder / f"{name}.svg").read_text("utf-8")
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in svg
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_half_written_is_left(page_path):
    left = [path.name for path in page_path.parent.rglob(".*")]
    assert left == []


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(make_race(("lenet5",)), tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_name_is_kept_and_a_folder_gets_report_html(tmp_path):
    race = make_race(("lenet5",))
    assert write_report(race, tmp_path / "mine.html") == tmp_path / "mine.html"
    assert (tmp_path / "mine-charts" / "accuracy-macs.svg").is_file()


def test_hostile_names_stay_text(tmp_path):
    race = hostile_race()
    path = write_report(race, tmp_path)
    page = Page(path)
    assert path == tmp_path / "report.html"
    assert page.count("script") == 3  # the data, Vega's bundle, the page's own
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert [attrs for tag, attrs in page.tags if tag == "img"] == []
    for name in (*race.classes, race.data, race.command):
        assert name not in page.html
    assert race.classes[0] in json.dumps(_data(path), ensure_ascii=False).replace('\\"', '"')
    for svg in (tmp_path / "report-charts").glob("*.svg"):
        ElementTree.fromstring(svg.read_text("utf-8"))


def test_a_failed_network_says_so(tmp_path):
    race = make_race(("lenet5", "plain20_cifar"))
    broken = failed(race.results[0], "loss became NaN in epoch 2")
    stopped = replace(race.results[1], status="interrupted", mistakes=())
    text = Page(write_report(replace(race, results=(broken, stopped)), tmp_path)).text
    assert "not available: loss became NaN in epoch 2" in text
    assert "interrupted" in text
    assert re.findall(r"\bnan\b", text) == []


def test_a_race_without_any_result_is_still_a_page(tmp_path):
    race = make_race(("lenet5",))
    race = replace(race, results=(failed(race.results[0], "out of memory"),), front_time=())
    text = Page(write_report(race, tmp_path)).text
    assert "no network has both an accuracy and a cost" in text


@pytest.mark.parametrize("count", [2, 100])
def test_confusion_holds_each_test_picture(tmp_path, count):
    classes = tuple(f"class {n}" for n in range(count))
    race = make_race(("lenet5",), classes=classes)
    path = write_report(race, tmp_path)
    spec = _data(path)["specs"]["confusion-01"]
    (squares,) = spec["datasets"].values()
    assert sum(square["times"] for square in squares) == race.test_size
    assert path.stat().st_size < 2_000_000


def test_no_mistakes_is_said(tmp_path):
    result = replace(make_result("lenet5", 0), mistakes=())
    race = replace(make_race(("lenet5",)), results=(result,))
    assert "every test picture was answered rightly" in Page(write_report(race, tmp_path)).text


def _data(path: Path) -> dict:
    found = re.search(
        r'<script type="application/json" id="report-data">(.*?)</script>', path.read_text("utf-8")
    )
    return json.loads(found[1])
