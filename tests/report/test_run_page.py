"""The page of one training, and the gradients' chart on a race's page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair
import pytest
from report_races import hostile_race, make_race
from test_report_page import Page

from convarium.records.model import EpochPoint, Race
from convarium.report import write_report, write_run
from convarium.report.confusion import confusion_chart
from convarium.report.entries import entries
from convarium.report.series import gradient_lines, training_lines

STAGES = ("conv1", "conv2_x", "<b>fc</b>")


@pytest.fixture(scope="module")
def single() -> Race:
    """One network over three epochs, with a validation part and gradients that shrink tenfold."""
    curve = tuple(
        EpochPoint(
            epoch,
            loss=1 / epoch,
            train_top1=1 - 0.5**epoch,
            seconds=float(epoch),
            error=0.25 / epoch,
            lr=0.1 / epoch,
            grad_norms={name: 10.0 ** (place - epoch) for place, name in enumerate(STAGES)},
        )
        for epoch in (1, 2, 3)
    )
    race = make_race()
    result = replace(race.results[0], curve=curve)
    race = replace(race, machine={**race.machine, "accelerators": []})
    return replace(race, results=(result,), sentence="recipe lenet5: <3 epochs>", front_time=())


@pytest.fixture(scope="module")
def text(single: Race, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_run(single, tmp_path_factory.mktemp("run")).read_text("utf-8")


def test_the_page_shows_every_chart_the_command_and_the_recipe(text, single) -> None:
    charts = re.findall(r'data-chart="([^"]+)"', text)
    assert charts == ["run-loss", "run-error", "run-rate", "run-gradient", "confusion-01"]
    assert single.command in text
    assert "recipe lenet5: &lt;3 epochs&gt;" in text


def test_the_test_error_is_that_of_the_record(text, single) -> None:
    result = single.results[0]
    error = 100 * (1 - result.top1_correct / result.top1_total)
    shown = re.search(r'test error, top-1</span><span class="value">([0-9.]+)', text)
    assert float(shown[1]) == pytest.approx(error, abs=0.005)


def test_names_of_stages_are_escaped(text) -> None:
    # In the page's JSON "<" is written as an escape; elsewhere as an entity.
    assert "<b>fc</b>" not in text
    assert "&lt;b&gt;fc&lt;/b&gt;" in text


def test_the_page_asks_nothing_of_any_network(text) -> None:
    assert "default-src 'none'" in text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)


def specs_in(text: str) -> dict[str, object]:
    data = re.search(r'id="report-data">(.*?)</script>', text, re.DOTALL)
    return json.loads(data[1])["specs"]


def test_the_charts_are_vega_lite_by_its_schema(text) -> None:
    """The page is written without altair's own checks."""
    specs = specs_in(text)
    assert len(specs) == 5
    for spec in specs.values():
        altair.Chart.from_dict(spec, validate=True)


def test_hostile_classes_stay_text(tmp_path: Path) -> None:
    race = hostile_race()
    page = Page(write_run(race, tmp_path))
    assert page.count("script") == 3  # the data, Vega's bundle, the page's own
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert [tag for tag, _ in page.tags if tag in ("img", "i", "image")] == []
    assert not [name for name in (*race.classes, race.data, race.command) if name in page.html]
    told = json.dumps(specs_in(page.html), ensure_ascii=False).replace('\\"', '"')
    assert all(name in told for name in race.classes)


def test_a_class_that_is_no_xml_is_written_out(tmp_path: Path) -> None:
    """vl-convert aborts the process at a character that XML has not."""
    race = make_race(("lenet5",), classes=("\x01a", "b\udcff", "\ufffe", "&amp; <c>"))
    write_run(race, tmp_path).read_text("utf-8")
    (net,) = entries(race)
    svg = ElementTree.fromstring(confusion_chart(net, race.classes).svg)
    shown = "".join(svg.itertext())
    assert all(name in shown for name in ("\\x01a", "b\\udcff", "\\ufffe", "&amp; <c>"))


def test_the_gradient_chart_holds_each_stage_at_each_epoch(single) -> None:
    lines = gradient_lines(single.results[0].curve)
    points = {one.name: dict(one.points) for one in lines.series}
    assert list(points) == list(STAGES)
    assert points["conv2_x"] == pytest.approx({1: 1.0, 2: 0.1, 3: 0.01})


def test_an_epoch_is_told_once_on_the_axis(single) -> None:
    for lines in training_lines(single.results[0]):
        shown = ElementTree.fromstring(lines.drawing.svg).itertext()
        assert [word for word in shown if word in ("1", "2", "3")][:3] == ["1", "2", "3"]


def test_what_a_machine_has_not_is_none_and_a_whole_batch_is_told(text) -> None:
    assert re.search(r"<dt>accelerators</dt><dd>none</dd>", text)
    assert re.search(r"<dt>micro_batch</dt><dd>the whole batch</dd>", text)


@pytest.mark.parametrize(
    ("known", "shown"),
    [(64 * 2**30, "68,719.48 MB"), ("not available: not told", "not available: not told")],
)
def test_a_machines_memory_has_a_unit(single, tmp_path: Path, known, shown) -> None:
    """2 to the 36th is 68 719 476 736."""
    race = replace(single, machine={"cores": 2, "memory_bytes": known})
    for write in (write_run, write_report):
        page = write(race, tmp_path).read_text("utf-8")
        assert f"<dt>memory</dt><dd>{shown}</dd>" in page


def test_the_error_chart_has_training_and_validation(single) -> None:
    error = training_lines(single.results[0])[1]
    assert [one.name for one in error.series] == ["training", "validation"]
    assert error.series[0].points == ((1, 50.0), (2, 25.0), (3, 12.5))
    assert dict(error.series[1].points) == pytest.approx({1: 25.0, 2: 12.5, 3: 25 / 3})


def test_what_is_not_above_zero_stays_off_a_log_axis(single) -> None:
    result = single.results[0]
    still = tuple(replace(point, grad_norms={"a": 0.0, "b": 1.0}) for point in result.curve)
    lines = gradient_lines(still)
    assert [one.name for one in lines.series] == ["b"]


@pytest.mark.parametrize("loss", [0.115, 0.97, 1.38, 2.303, 7.6])
def test_one_epochs_loss_has_numbers_at_its_axis(single, loss) -> None:
    result = single.results[0]
    first = replace(result, curve=(replace(result.curve[0], loss=loss, error=None),))
    ticks = _axes(training_lines(first)[0].drawing.spec, "y")[0]["values"]
    assert 2 <= len(ticks) <= 10
    assert all(loss / 1.2 <= tick <= loss * 1.2 for tick in ticks)


def _axes(spec: dict[str, Any], channel: str) -> list[dict[str, Any]]:
    return [layer["encoding"][channel]["axis"] for layer in spec["layer"]]


def test_the_recipe_says_how_many_epochs_were_run(single, tmp_path: Path) -> None:
    result = replace(single.results[0], epochs=2, recipe={"epochs": 5, "lr": 0.1})
    page = write_run(replace(single, results=(result,)), tmp_path).read_text("utf-8")
    assert ">5; this run: 2</td>" in page
    again = replace(single, results=(replace(result, epochs=5),))
    assert "this run" not in write_run(again, tmp_path).read_text("utf-8")


def test_a_record_without_gradients_has_no_chart_of_them(single, tmp_path: Path) -> None:
    result = single.results[0]
    bare = tuple(EpochPoint(p.epoch, p.loss, p.train_top1, p.seconds) for p in result.curve)
    race = replace(single, results=(replace(result, curve=bare),))
    page = write_run(race, tmp_path).read_text("utf-8")
    assert re.findall(r'data-chart="(run-[^"]+)"', page) == ["run-loss", "run-error"]


def test_a_races_page_has_the_gradients_of_each_network(single, tmp_path: Path) -> None:
    page = write_report(single, tmp_path).read_text("utf-8")
    assert "run-gradient-01" in specs_in(page)
