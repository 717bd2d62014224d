"""Data sets by name and folder: order, split, sizes, and folders that cannot be used."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convarium.data import BadPicturesError, carve, load, load_dataset, survey_dataset
from convarium.errors import InputError, UsageError
from data.view_data import dataset, pictures


def _fill(folder: Path, count: int, *, side: int = 12, colour=(90, 20, 30), kind="png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        levels = tuple((level + 3 * number) % 256 for level in colour)
        Image.new("RGB", (side, side), levels).save(folder / f"a picture {number}.{kind}")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Two classes of ten and fifteen small pictures; one has a space in its name."""
    _fill(tmp_path / "my set" / "cats and dogs", 10)
    _fill(tmp_path / "my set" / "birds", 15)
    return tmp_path / "my set"


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_digits_have_the_stated_sizes(digits) -> None:
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert (digits.channels, digits.side, len(digits.classes)) == (1, 32, 10)
    assert digits.train.images([0, 1]).shape == (2, 1, 32, 32)


def test_digits_test_split_is_stratified(digits) -> None:
    whole = Counter(digits.train.labels.tolist()) + Counter(digits.test.labels.tolist())
    held = Counter(digits.test.labels.tolist())
    assert all(abs(held[digit] - 0.2 * whole[digit]) < 1 for digit in range(10))
    assert not set(digits.train.names) & set(digits.test.names)


def test_digits_keep_the_ink_of_the_8x8_pictures(digits) -> None:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    index = int(digits.test.names[0].split()[1])
    assert int(digits.test.labels[0]) == labels[index]
    small = digits.test.images([0]).float().reshape(8, 4, 8, 4).mean((1, 3)) / 255 * 16
    # Bicubic enlargement keeps each 4x4 block's mean but for overshoot, clamped at the ends.
    assert np.abs(small.numpy() - images[index].reshape(8, 8)).mean() < 1


def test_scaled_training_pixels_have_mean_0_and_deviation_1(digits) -> None:
    inputs = digits.prepare(digits.train.images(range(len(digits.train))))
    assert inputs.dtype == torch.float32
    assert abs(float(inputs.mean())) < 1e-4
    assert abs(float(inputs.std()) - 1) < 1e-3


def test_the_seed_of_a_run_does_not_move_the_split(digits) -> None:
    assert load_dataset("digits", seed=5).test.names == digits.test.names


def test_a_part_that_would_be_empty_is_refused() -> None:
    """A class keeps its only picture, so two of two classes leave none for validation."""
    with pytest.raises(UsageError, match=r"validation 0\.1 holds none of the 2 pictures back"):
        carve(dataset(pictures(2, 8)).train, share=0.1)


def test_a_validation_part_leaves_the_test_split_alone(digits) -> None:
    train, validation = carve(digits.train)
    assert len(train) + len(validation) == 1437
    assert abs(len(validation) - 0.2 * 1437) <= 1
    assert not set(train.names) & set(validation.names)
    assert not (set(train.names) | set(validation.names)) & set(digits.test.names)


def test_three_equal_channels_on_request(digits) -> None:
    coloured = load_dataset("digits", channels=3).test.images([4])
    assert torch.equal(coloured, digits.test.images([4]).expand(-1, 3, -1, -1))


def test_a_flat_folder_is_split_by_names(flat) -> None:
    data = load_dataset(str(flat))
    assert data.classes == ("birds", "cats and dogs")
    assert (data.kind, data.side, data.channels) == ("small", 32, 3)
    assert Counter(data.test.labels.tolist()) == {0: 3, 1: 2}  # a fifth of 15 and of 10
    assert Counter(data.train.labels.tolist()) == {0: 12, 1: 8}


def test_a_copy_elsewhere_has_the_same_split_and_fingerprint(flat, tmp_path) -> None:
    import shutil

    data = load_dataset(str(flat))
    other = load_dataset(str(shutil.copytree(flat, tmp_path / "copy")))
    assert (other.train.names, other.test.names) == (data.train.names, data.test.names)
    assert other.fingerprint == data.fingerprint


def test_the_fingerprint_sees_another_file(flat) -> None:
    before = load_dataset(str(flat)).fingerprint
    (flat / "birds" / "a picture 0.png").rename(flat / "birds" / "b.png")
    assert load_dataset(str(flat)).fingerprint != before


@pytest.mark.parametrize("test_name", ["val", "test"])
def test_train_and_val_folders(tmp_path, test_name) -> None:
    for name in ("a", "b"):
        _fill(tmp_path / "train" / name, 3)
        _fill(tmp_path / test_name / name, 2, colour=(1, 2, 3))
    data = load_dataset(str(tmp_path))
    assert (len(data.train), len(data.test)) == (6, 4)
    assert all(name.startswith(f"{test_name}/") for name in data.test.names)


def test_photographs_are_decoded_larger_than_the_network_takes(tmp_path) -> None:
    for name in ("a", "b"):
        _fill(tmp_path / name, 5, side=80, kind="jpg")
    data = load_dataset(str(tmp_path), side=56)
    assert data.kind == "photographs"
    assert data.train.images([0]).shape == (1, 3, 64, 64)  # 56 * 8 / 7
    assert data.prepare(data.train.images([0])).shape == (1, 3, 56, 56)


def test_grey_pictures_stored_as_colour_get_one_channel(tmp_path) -> None:
    for name in ("a", "b"):
        _fill(tmp_path / name, 5, colour=(50, 50, 50))
    assert load_dataset(str(tmp_path)).channels == 1


def test_lazy_decoding_gives_the_same_pixels(flat, monkeypatch) -> None:
    eager = load_dataset(str(flat))
    monkeypatch.setattr(load, "MEMORY_BOUND", 0)
    lazy = load_dataset(str(flat))
    assert not hasattr(lazy.train.store, "pixels")
    assert torch.equal(lazy.train.images([5, 0, 9]), eager.train.images([5, 0, 9]))


def test_the_survey_agrees_with_the_data_set(flat) -> None:
    survey, data = survey_dataset(str(flat)), load_dataset(str(flat))
    assert (survey.kind, survey.classes) == (data.kind, data.classes)
    assert (survey.train_size, survey.test_size) == (len(data.train), len(data.test))


def test_a_picture_for_the_report(digits) -> None:
    picture = digits.test.picture(3)
    assert (picture.mode, picture.size) == ("L", (32, 32))
    assert np.array_equal(np.asarray(picture), digits.test.images([3])[0, 0].numpy())


def test_all_bad_pictures_are_listed_at_once(flat) -> None:
    (flat / "birds" / "empty.jpg").touch()
    (flat / "cats and dogs" / "text.png").write_text("no picture")
    with pytest.raises(BadPicturesError, match="2 pictures") as caught:
        load_dataset(str(flat))
    assert [path.name for path, _ in caught.value.files] == ["empty.jpg", "text.png"]
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_pictures_that_break_only_when_decoded_are_listed_too(flat) -> None:
    for name in ("a picture 3.png", "a picture 4.png"):
        whole = (flat / "birds" / name).read_bytes()
        (flat / "birds" / name).write_bytes(whole[:45])  # the header stands
    with pytest.raises(BadPicturesError) as caught:
        load_dataset(str(flat))
    assert [path.name for path, _ in caught.value.files] == ["a picture 3.png", "a picture 4.png"]


def test_a_format_that_is_not_read_is_named(flat) -> None:
    (flat / "birds" / "scan.tif").touch()
    (flat / "birds" / "notes.txt").write_text("these are birds")
    with pytest.raises(BadPicturesError, match=r"1 picture .*scan\.tif: a format that is not"):
        load_dataset(str(flat))


def _nothing(root: Path) -> None:
    pass


def _one_class(root: Path) -> None:
    _fill(root / "only", 5)


def _empty_class(root: Path) -> None:
    _fill(root / "a", 5)
    (root / "b").mkdir()


def _nested(root: Path) -> None:
    _fill(root / "a", 5)
    _fill(root / "b" / "deeper", 5)


def _no_endings(root: Path) -> None:
    _nested(root)
    for name in "xyz":
        (root / "b" / name).write_bytes((root / "a" / "a picture 0.png").read_bytes())


def _one_picture(root: Path) -> None:
    _fill(root / "a", 5)
    _fill(root / "b", 1)


def _no_test(root: Path) -> None:
    _fill(root / "train" / "a", 3)
    _fill(root / "train" / "b", 3)


def _other_classes(root: Path) -> None:
    _no_test(root)
    _fill(root / "val" / "c", 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_nothing, "no class folders"),
        (_one_class, r"one class folder \(only\)"),
        (_empty_class, "b holds no pictures"),
        (_nested, "subfolders are not looked into"),
        (_no_endings, "names' endings, which 3 files there lack: convarium data check"),
        (_one_picture, "b holds 1 picture"),
        (_no_test, "no val/ or test/"),
        (_other_classes, "lacks: c"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, make, message) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=message):
        load_dataset(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_rights(flat) -> None:
    (flat / "birds").chmod(0)
    with pytest.raises(InputError, match="cannot be listed"):
        load_dataset(str(flat))


@pytest.mark.parametrize("spec", ["digit", "/no/such/folder"])
def test_a_data_set_that_does_not_exist(spec) -> None:
    with pytest.raises(InputError, match="folder"):
        load_dataset(spec)


def test_a_file_is_no_folder(tmp_path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match="is no folder"):
        load_dataset(str(tmp_path / "a.png"))


@pytest.mark.parametrize("wrong", [{"channels": 2}, {"side": 0}])
def test_sides_and_channels_that_cannot_be(wrong) -> None:
    with pytest.raises(UsageError, match="must be"):
        load_dataset("digits", **wrong)


@pytest.mark.data
def test_ants_and_bees(shared_data) -> None:
    survey = survey_dataset(str(shared_data / "ants-bees"))
    assert (survey.kind, survey.classes) == ("photographs", ("ants", "bees"))
    assert (survey.train_size, survey.test_size) == (123 + 121, 70 + 83)
