"""Canziani's pictures: drawn from what papers print and from measured rows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "canziani.py"


@pytest.fixture(scope="module")
def canziani():
    found = importlib.util.spec_from_file_location("canziani", SCRIPT)
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    return script


def test_printed_errors_are_drawn(canziani) -> None:
    rows = canziani.accuracy_rows()
    # KaimingHe/deep-residual-networks: ResNet-50 has 24.7 % with one crop; table 4 has ten crops.
    (one,) = [row for row in rows if row["network"] == "resnet50"]
    assert one["accuracy"] == pytest.approx(100 - 24.7)
    drawing = canziani.accuracy_picture(rows)
    assert drawing.svg.count('aria-roledescription="point"') == len(rows)


def test_landmarks_have_their_names_in_the_picture(canziani) -> None:
    """A bubble that nobody can tell from 47 others says nothing; of all, names would overlap."""
    rows = canziani.accuracy_rows()
    svg = canziani.accuracy_picture(rows).svg
    shown = [text for text in ElementTree.fromstring(svg).itertext() if text.strip()]
    assert set(canziani.LANDMARKS) <= {row["network"] for row in rows}
    names = {row["network"] for row in rows}
    assert sorted(names.intersection(shown) - {"zfnet", "googlenet"}) == sorted(
        set(canziani.LANDMARKS) - {"zfnet", "googlenet"}  # these are families in the legend, too
    )


def test_the_table_tells_accuracies_and_says_so(canziani) -> None:
    """57.1 % are right by BVLC's readme of its AlexNet."""
    rows = [row for row in canziani.accuracy_rows() if row["network"] == "alexnet_2gpu"]
    page = canziani.page([], [], rows)
    assert "<th>top-1 accuracy, %</th>" in page
    assert "<td>alexnet_2gpu</td><td>57.10</td>" in page


def test_what_was_measured_is_drawn_and_what_was_not_is_left_out(canziani) -> None:
    rows = [
        {"network": name, "batch": batch, "ms": 1.5 * batch, "joules": None}
        for name in ("lenet5", "vgg_d")
        for batch in (1, 2, 4)
    ]
    drawing = canziani.measured_picture(rows, "ms", "milliseconds a picture")
    assert all(name in drawing.svg for name in ("lenet5", "vgg_d"))
    assert canziani.measured_picture(rows, "joules", "joules a picture") is None


@pytest.mark.slow
def test_one_command_writes_page_and_pictures(canziani, tmp_path, monkeypatch) -> None:
    words = "--networks squeezenet1_1 --batches 1,2 --seconds 0.01 --out".split()
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words, str(tmp_path)])
    canziani.main()
    assert {path.name for path in tmp_path.iterdir()} >= {
        "index.html",
        "accuracy-operations.svg",
        "ms-batch.svg",
        "megabytes-batch.svg",
    }
