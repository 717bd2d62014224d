"""compare: table, CSV, chart and page over records, without torch."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from convarium.cli import main
from convarium.records import overview
from convarium.report.comparison import charts_of
from records.record_logs import events_of, keep

Capture = pytest.CaptureFixture[str]
RACE = events_of(
    "20260301T120000-aaaaaa",
    {"model": "lenet5", "top1_correct": 90, "ms_batch1": 0.5},
    {"model": "nin_cifar10", "top1_correct": 95, "ms_batch1": None, "params": 967_000},
)
OTHER = events_of(
    "20260302T120000-bbbbbb",
    {"model": "vgg_d", "top1_correct": 50},
    data="photos",
    at="2026-03-02T12:00:00+00:00",
)


def lines(capsys: Capture, *words: str) -> list[str]:
    """The lines of the table, without its head."""
    assert main(["compare", *words]) == 0
    return capsys.readouterr().out.split("\n\n")[0].splitlines()[1:]


def test_a_line_has_every_number(capsys: Capture) -> None:
    keep(RACE)
    line = next(line for line in lines(capsys) if line.startswith("lenet5"))
    for word in ("90.0 %", "82.6 to 94.5", "60.0 k", "400 k", "0.50", "0.24", "8.0"):
        assert word in line
    assert "2026-03-01 12:00" in line


def test_what_was_not_measured_says_so(capsys: Capture) -> None:
    keep(RACE)
    line = next(line for line in lines(capsys) if line.startswith("nin_cifar10"))
    assert "not available" in line


@pytest.mark.parametrize(
    ("sort", "first"),
    [("top1", "nin_cifar10"), ("params", "lenet5"), ("ms", "lenet5"), ("when", "lenet5")],
)
def test_the_best_comes_first(capsys: Capture, sort: str, first: str) -> None:
    keep(RACE)
    assert lines(capsys, "--sort", sort)[0].split()[0] == first


def test_data_and_names_narrow_it_down(capsys: Capture) -> None:
    keep(RACE, OTHER)
    assert [line.split()[0] for line in lines(capsys, "--data", "photos")] == ["vgg_d"]
    assert [line.split()[0] for line in lines(capsys, "lenet5", "vgg16")] == ["vgg_d", "lenet5"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--sort", "tpo1"), "Did you mean top1"),
        (("--data", "digit"), "Did you mean digits"),
        (("lenet6",), "Did you mean lenet5"),
        (("--svg", "chart.svg"), "Choose one with --data"),
    ],
)
def test_bad_usage_names_the_way_out(capsys: Capture, words: tuple[str, ...], hint: str) -> None:
    keep(RACE, OTHER)
    assert main(["compare", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert hint in captured.err


def test_no_records_yet_is_no_error(capsys: Capture) -> None:
    assert main(["compare"]) == 0
    assert "convarium bakeoff --data digits" in capsys.readouterr().err


def test_json_has_the_fields_of_a_record(capsys: Capture) -> None:
    keep(RACE)
    assert main(["compare", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "convarium/1"
    by_model = {one["model"]: one for one in told["records"]}
    assert by_model["lenet5"]["top1"] == 0.9
    assert by_model["nin_cifar10"]["ms_batch1"] is None


def test_csv_has_full_numbers_and_no_formulas(tmp_path: Path) -> None:
    keep(events_of("run", {"model": "=HYPERLINK(1)", "params": 61_706}))
    path = tmp_path / "table.csv"
    assert main(["compare", "--csv", str(path)]) == 0
    (row,) = csv.DictReader(path.read_text("utf-8").splitlines())
    assert row["params"] == "61706"
    assert row["model"].startswith("'=")


def test_svg_shows_each_network_that_was_timed(tmp_path: Path) -> None:
    keep(RACE)
    path = tmp_path / "chart.svg"
    assert main(["compare", "--svg", str(path)]) == 0
    text = "".join(ET.parse(path).getroot().itertext())
    assert "lenet5" in text
    assert "nin_cifar10" not in text


def test_html_has_a_chart_for_each_data_set_and_asks_no_network(tmp_path: Path) -> None:
    keep(RACE, OTHER)
    path = tmp_path / "page.html"
    assert main(["compare", "*", "--html", str(path)]) == 0
    page = path.read_text("utf-8")
    assert f"convarium compare &#39;*&#39; --html={path}" in page
    assert "digits: Accuracy against computation" in page
    assert "photos: Accuracy against time" in page
    assert "default-src 'none'" in page
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert body.count("<tr") == 3


def test_names_of_another_hand_stay_text_on_the_page(tmp_path: Path) -> None:
    keep(events_of("run", {"model": "<script>x</script>"}, data="<img src=x>"))
    path = tmp_path / "page.html"
    assert main(["compare", "--html", str(path)]) == 0
    page = path.read_text("utf-8")
    assert "<script>x" not in page
    assert "<img src=x>" not in page


def test_many_records_are_drawn_once_a_network() -> None:
    keep(*(events_of(f"run{n:02}", {"model": "lenet5"}, {"model": "vgg_d"}) for n in range(25)))
    (charts,) = charts_of(overview())
    assert "newest record of each of 2 networks, of 50" in charts.words
    assert len(charts.keys) == 2
    assert {run for run, _ in charts.keys} == {"run24"}


def test_a_chart_says_what_it_lacks() -> None:
    keep(RACE)  # nin_cifar10 was not timed
    (charts,) = charts_of(overview())
    assert charts.words == "All 2 records. 1 without a time cannot stand in its chart."


def test_the_table_imports_nothing_heavy() -> None:
    keep(RACE)
    code = (
        "import sys; from convarium.cli import main; main(['compare']);"
        "print(sorted({'torch', 'numpy', 'altair', 'PIL', 'rich'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert out.stdout.splitlines()[-1] == "[]"
