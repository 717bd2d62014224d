"""`convarium data augment`: the sheet is a picture of the stated size, the same for one seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convarium.cli.app import main


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A gradient with a bright corner: every augmentation moves something."""
    drawn = np.zeros((90, 120, 3), dtype=np.uint8)
    drawn[..., 0] = np.linspace(0, 255, 120)
    drawn[..., 1] = np.linspace(0, 255, 90)[:, None]
    drawn[:20, :20] = 255
    Image.fromarray(drawn).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _sheet(picture: Path, name: str, *words: str) -> np.ndarray:
    out = picture.with_name(name)
    assert main(["data", "augment", str(picture), "--out", str(out), *words]) == 0
    return np.asarray(Image.open(out))


def test_one_seed_draws_one_sheet(picture) -> None:
    first = _sheet(picture, "a.png", "--count", "2")
    assert np.array_equal(first, _sheet(picture, "b.png", "--count", "2"))
    assert not np.array_equal(first, _sheet(picture, "c.png", "--count", "2", "--seed", "1"))


def test_the_views_of_a_recipe(picture, capsys) -> None:
    sheet = _sheet(picture, "a.png", "--recipe", "squeezenet1_1", "--count", "3")
    told = capsys.readouterr().out
    assert "5 rows" in told
    assert f"{sheet.shape[1]}x{sheet.shape[0]} pixels" in told


def test_a_file_that_is_no_picture(tmp_path, capsys) -> None:
    (tmp_path / "a.jpg").write_text("no picture")
    assert main(["data", "augment", str(tmp_path / "a.jpg")]) == 3
    assert "a.jpg" in capsys.readouterr().err


def test_a_network_that_does_not_exist(picture, capsys) -> None:
    assert main(["data", "augment", str(picture), "--recipe", "resnet19"]) == 2
    assert "resnet18" in capsys.readouterr().err
