"""Every kind of odd file through every door: right pixels, or one sentence that names the file."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convarium.bakeoff.trained import about_weights
from convarium.cli import main
from convarium.data import BadPicturesError, Dataset, load_dataset
from convarium.data.check import check_folder
from convarium.data.pictures import decode, strict_pillow
from convarium.files import exact, shown
from convarium.nets.build import build
from convarium.train import save_weights
from data.hostile.bad import bad_kinds
from data.hostile.good import SIDE, Kind, good_kinds

GOOD, BAD = list(good_kinds()), list(bad_kinds())


def name_of(kind: Kind) -> str:
    """Its file's name, for a test's name."""
    return shown(kind.name)[:60]


def written(folder: Path, kind: Kind) -> Path:
    """The file, written; skips where the file system cannot hold its name."""
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(kind.name)))
    try:
        kind.write(path)
    except OSError as error:
        if isinstance(kind.name, bytes):
            pytest.skip(f"this file system takes no such name: {error}")
        raise
    return path


def middle(picture: np.ndarray) -> np.ndarray:
    """The pixels that no neighbour of another quarter blurs, channels first."""
    rows = [*range(1, SIDE // 2 - 1), *range(SIDE // 2 + 1, SIDE - 1)]
    return np.asarray(picture)[np.ix_(rows, rows)].transpose(2, 0, 1)


def same(pixels: np.ndarray, kind: Kind) -> bool:
    """True where (3, 16, 16) `pixels` are the kind's own."""
    assert kind.pixels is not None
    found = middle(pixels.transpose(1, 2, 0).astype(int))
    return bool(abs(found - middle(kind.pixels)).max() <= kind.off_by)


def test_there_are_at_least_120_kinds_of_different_names() -> None:
    names = Counter(kind.name for kind in (*GOOD, *BAD))
    assert max(names.values()) == 1
    assert len(names) >= 120


@pytest.mark.parametrize("kind", GOOD, ids=name_of)
def test_a_readable_picture_gives_its_pixels(tmp_path: Path, kind: Kind) -> None:
    with strict_pillow():
        assert same(decode(written(tmp_path, kind), SIDE, 3), kind)


@pytest.mark.parametrize("kind", BAD, ids=name_of)
def test_a_bad_picture_is_refused_with_its_reason(tmp_path: Path, kind: Kind) -> None:
    path = written(tmp_path, kind)
    with strict_pillow(), pytest.raises(BadPicturesError) as caught:
        decode(path, SIDE, 3)
    own_name = path.suffix not in (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
    assert own_name or kind.reason in caught.value.files[0][1]
    line = str(caught.value)
    assert str(path) in line
    assert line.isprintable()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes: all that can be read, and some plain pictures with all that cannot."""
    root = tmp_path_factory.mktemp("hostile")
    for name, kinds in (("odd", GOOD), ("plain", BAD)):
        (root / name).mkdir()
        for kind in kinds:
            written(root / name, kind)
    for at in range(5):
        Image.new("RGB", (SIDE, SIDE), (40 * at, 90, 30)).save(root / "plain" / f"fine{at}.png")
    return root


def names(kinds: list[Kind], label: str) -> set[str]:
    """As a data set names them."""
    return {f"{label}/{exact(kind.name)}" for kind in kinds}


def test_loading_lists_all_bad_files_at_once(folder: Path) -> None:
    with pytest.raises(BadPicturesError, match="--skip-bad") as caught:
        load_dataset(str(folder), side=SIDE)
    found = {f"plain/{path.name}" for path, _ in caught.value.files}
    assert found == names(BAD, "plain")
    assert str(caught.value).isprintable()


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    """The folder without what is bad."""
    return load_dataset(str(folder), side=SIDE, channels=3, skip_bad=True)


def test_skipping_counts_every_bad_file(dataset: Dataset) -> None:
    assert {name for name, _ in dataset.skipped} == names(BAD, "plain")
    assert all(reason for _, reason in dataset.skipped)


def test_the_rest_is_loaded_with_the_right_pixels(dataset: Dataset) -> None:
    kinds = {f"odd/{exact(kind.name)}": kind for kind in GOOD}
    seen = 0
    for split in (dataset.train, dataset.test):
        images = split.images(range(len(split))).numpy()
        for name, pixels in zip(split.names, images, strict=True):
            seen += 1
            assert name.startswith("plain/fine") or same(pixels, kinds[name]), name
    assert seen == len(GOOD) + 5


def test_skipping_is_as_if_the_files_had_never_been(folder: Path, dataset: Dataset) -> None:
    clean = folder.with_name(f"{folder.name}_clean")
    for label in ("odd", "plain"):
        (clean / label).mkdir(parents=True)
    for split in (dataset.train, dataset.test):
        for name in split.names:
            source = os.fsencode(folder) + b"/" + _raw(name)
            os.link(os.path.realpath(source), os.fsencode(clean) + b"/" + _raw(name))
    again = load_dataset(str(clean), side=SIDE, channels=3)
    assert again.train.names == dataset.train.names
    assert again.test.names == dataset.test.names
    assert again.fingerprint == dataset.fingerprint
    assert again.skipped == ()


def _raw(name: str) -> bytes:
    raw = {exact(kind.name): os.fsencode(kind.name) for kind in GOOD}
    label, _, file = name.partition("/")
    return label.encode() + b"/" + raw.get(file, file.encode())


def test_data_check_finds_the_same(folder: Path) -> None:
    report = check_folder(folder)
    assert {file.name for file in report.unreadable} == names(BAD, "plain")
    assert report.balance == {"all": {"odd": len(GOOD), "plain": 5}}
    assert report.refused


def test_data_check_as_a_verb(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(folder), "--json"]) == 3
    told = json.loads(capfd.readouterr().out)
    assert len(told["check"]["unreadable"]) == len(BAD)


def test_augment_refuses_each(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for kind in BAD:
        path = folder / "plain" / str(kind.name)
        assert main(["data", "augment", str(path), "--out", str(folder / "sheet.png")]) == 3
        (line,) = capfd.readouterr().err.splitlines()
        assert str(path) in line
    assert not (folder / "sheet.png").exists()


@pytest.fixture(scope="module")
def weights(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network for three-channel pictures of two classes."""
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    about = about_weights("squeezenet_32px", load_at_32(dataset))
    save_weights(build("squeezenet_32px", num_classes=2, in_channels=3), path, about)
    return path


def load_at_32(dataset: Dataset) -> Dataset:
    """The same folder at the side that the network takes."""
    return load_dataset(dataset.source, side=32, channels=3, skip_bad=True)


def test_predict_answers_the_good_and_names_the_bad(
    folder: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = sorted(path for label in ("odd", "plain") for path in (folder / label).iterdir())
    files = [path for path in files if path.name != ".target"]
    bad = {f"{folder}/{name}" for name in names(BAD, "plain")}
    bad = {path for path in bad if Path(path).suffix.lower() not in _OTHERS}
    own_names = {path for path in files if path.suffix.lower() in _OTHERS}
    assert main(["predict", str(weights), "--json", "--", *map(str, files)]) == 3
    out, err = capfd.readouterr()
    answered = [json.loads(line)["picture"] for line in out.splitlines()]
    assert set(answered) == {exact(path) for path in files} - bad - set(map(str, own_names))
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == len(BAD)
    assert all(line.isprintable() for line in err.splitlines())
    assert "Traceback" not in err


_OTHERS = (".svg", ".tiff", ".heic", ".pdf", ".ico", ".dng", ".nef")
