"""Packed sets of every form: the pixels and labels that were written come out again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from convarium.data import InputForm, load_dataset, survey_dataset
from convarium.data.packed import check_packed, find_packed
from convarium.data.packed.find import Packed
from data.packed_files import (
    CLASSES,
    arrays,
    pictures,
    write_cifar_binary,
    write_cifar_python,
    write_idx,
    write_npz,
)


def _pixels(split) -> np.ndarray:
    return split.images(range(len(split))).numpy()


@pytest.mark.parametrize("shape", [(32, 32), (32, 32, 1), (32, 32, 3), (3, 32, 32)])
def test_npz_of_each_layout(tmp_path, shape) -> None:
    told = arrays(shape)
    data = load_dataset(str(write_npz(tmp_path / "mine.npz", **told)))
    x = told["x_test"].reshape(6, 1, 32, 32) if len(shape) == 2 else told["x_test"]
    x = x.transpose(0, 3, 1, 2) if x.shape[3] != 32 else x
    assert np.array_equal(_pixels(data.test), x)
    assert data.train.labels.tolist() == told["y_train"].tolist()
    assert (data.name, data.kind, data.side) == ("mine", "small", 32)
    assert data.train.names[:2] == ("train 0", "train 1")


def test_npz_with_column_labels_names_and_classes(tmp_path) -> None:
    labels = arrays()["y_train"].astype(np.int64)[:, None]  # as Keras' cifar10 has them
    stems = {f"name_{part}": np.array([f"{part}{i}" for i in range(n)], dtype="S")
             for part, n in (("train", 12), ("test", 6))}  # fmt: skip
    path = write_npz(tmp_path / "a.npz", y_train=labels, classes=np.array(CLASSES), **stems)
    data = load_dataset(str(path))
    assert data.classes == CLASSES
    assert (data.train.names[11], data.test.names[0]) == ("train11", "test0")


def test_the_coded_form_is_decoded_exactly(tmp_path) -> None:
    x = {part: pictures(n, (3, 32, 32), n) for part, n in (("train", 12), ("test", 6))}
    coded = {}
    for part, whole in x.items():
        d = whole.copy()
        d[:, ::2] -= whole[:, 1:2]
        d[:, :, :, 1:] -= d[:, :, :, :-1].copy()
        d[:, :, 1:] -= d[:, :, :-1].copy()
        coded[f"d_{part}"] = d
    data = load_dataset(str(write_npz(tmp_path / "c.npz", x_train=None, x_test=None, **coded)))
    assert np.array_equal(_pixels(data.train), x["train"])
    assert np.array_equal(_pixels(data.test), x["test"])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("prefix", ["", "emnist-letters-"])
def test_idx_files(tmp_path, prefix, packed) -> None:
    folder = write_idx(tmp_path / "mnist", prefix=prefix, packed=packed)
    data = load_dataset(str(folder))
    assert np.array_equal(_pixels(data.test)[:, 0, 2:30, 2:30], arrays()["x_test"])
    assert data.train.labels.tolist() == arrays()["y_train"].tolist()


def test_idx_files_with_their_archives_beside_them(tmp_path) -> None:
    write_idx(tmp_path / "raw", packed=True)
    assert len(load_dataset(str(write_idx(tmp_path / "raw"))).train) == 12


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("write", [write_cifar_binary, write_cifar_python])
def test_cifar_batches(tmp_path, write, fine) -> None:
    data = load_dataset(str(write(tmp_path / "cifar", fine=fine)))
    count = 1 if fine else 5
    wanted = np.concatenate([pictures(6, (3, 32, 32), seed) for seed in range(count)])
    assert np.array_equal(_pixels(data.train), wanted)
    assert np.array_equal(_pixels(data.test), pictures(6, (3, 32, 32), count))
    assert data.train.labels.tolist() == [0, 1, 2] * 2 * count
    assert data.classes == CLASSES


@pytest.mark.parametrize("protocol", range(6))
def test_batches_pickled_by_any_protocol(tmp_path, protocol) -> None:
    data = load_dataset(str(write_cifar_python(tmp_path / "c", protocol=protocol)))
    assert np.array_equal(_pixels(data.test), pictures(6, (3, 32, 32), 5))


def test_a_picture_somewhat_smaller_is_centred_on_a_border_of_0(tmp_path) -> None:
    data = load_dataset(str(write_npz(tmp_path / "m.npz")), side=32)
    whole = np.pad(arrays()["x_train"], ((0, 0), (2, 2), (2, 2)))
    assert np.array_equal(_pixels(data.train)[:, 0], whole)
    assert data.drawn_px == 28


@pytest.mark.parametrize("side", [24, 48])
def test_other_sides_are_resized_smoothly(tmp_path, side) -> None:
    data = load_dataset(str(write_npz(tmp_path / "m.npz")), side=side)
    for pixels, drawn in zip(_pixels(data.test)[:, 0], arrays()["x_test"], strict=True):
        small = Image.fromarray(drawn).resize((side, side), Image.Resampling.BILINEAR)
        # Pillow rounds after each of the two directions: two levels at most.
        assert np.abs(pixels.astype(int) - np.asarray(small).astype(int)).max() <= 2


def test_a_set_too_large_for_memory_is_fitted_when_asked(tmp_path, monkeypatch) -> None:
    path = str(write_npz(tmp_path / "m.npz", **arrays((40, 40, 3))))
    eager = load_dataset(path, side=48, channels=1)
    monkeypatch.setattr("convarium.data.packed.sets.MEMORY_BOUND", 0)
    lazy = load_dataset(path, side=48, channels=1)
    some = torch.tensor([5, 0, 3])
    assert torch.equal(lazy.test.images(some), eager.test.images(some))
    assert torch.equal(lazy.train.images(some), eager.train.images(some))


def test_predict_sees_the_border_that_training_saw(tmp_path) -> None:
    data = load_dataset(str(write_npz(tmp_path / "m.npz")))
    Image.fromarray(arrays()["x_test"][4]).save(tmp_path / "four.png")
    images, _, bad = InputForm.of(data).read([tmp_path / "four.png"])
    assert not bad
    assert torch.equal(images, data.prepare(data.test.images([4])))


def test_the_scale_is_that_of_every_training_pixel(tmp_path) -> None:
    told = arrays((32, 32, 3))
    scale = load_dataset(str(write_npz(tmp_path / "m.npz", **told))).scale
    shares = told["x_train"] / 255
    assert np.allclose(scale.mean, shares.mean((0, 1, 2)), atol=1e-9)
    assert np.allclose(scale.std, shares.std((0, 1, 2)), atol=1e-9)


def test_a_folder_with_one_file_and_the_file_agree(tmp_path) -> None:
    path = write_npz(tmp_path / "set" / "a.npz")
    (tmp_path / "set" / "README.md").write_text("where it came from")
    folder, file = load_dataset(str(path.parent)), load_dataset(str(path))
    assert folder.fingerprint == file.fingerprint
    survey = survey_dataset(str(path.parent))
    assert (survey.name, survey.train_size, survey.test_size) == ("set", 12, 6)


def test_class_folders_beside_an_npz_are_the_data_set(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for n in range(3):
            Image.new("RGB", (9, 9), (n, 9, 9)).save(tmp_path / name / f"{n}.png")
    write_npz(tmp_path / "features.npz")
    assert load_dataset(str(tmp_path)).classes == ("a", "b")


def test_it_is_decoded_once_and_found_again(tmp_path, monkeypatch) -> None:
    path = str(write_npz(tmp_path / "m.npz"))
    before = load_dataset(path)
    monkeypatch.setattr(Packed, "read", _never)
    after = load_dataset(path)
    assert after.fingerprint == before.fingerprint
    assert np.array_equal(_pixels(after.train), _pixels(before.train))
    assert (after.classes, after.train.names) == (before.classes, before.train.names)


def _never(self: Packed) -> None:
    raise AssertionError("it was decoded again")


@pytest.mark.parametrize("name", ["x_train.npy", "y_test.npy", "about.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_cache_is_built_anew(tmp_path, monkeypatch, name, damage) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("CONVARIUM_HOME", str(home))
    path = str(write_npz(tmp_path / "m.npz"))
    before = _pixels(load_dataset(path).train)
    (entry,) = (home / "data-cache").iterdir()
    whole = (entry / name).read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    (entry / name).unlink()
    if damage != "gone":
        (entry / name).write_bytes(whole[:middle] if damage == "cut" else changed)
    assert np.array_equal(_pixels(load_dataset(path).train), before)
    assert (entry / name).read_bytes() == whole  # and it was mended


def test_a_changed_file_replaces_its_entry(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CONVARIUM_HOME", str(tmp_path / "home"))
    path = write_npz(tmp_path / "m.npz")
    before = load_dataset(str(path)).fingerprint
    write_npz(path, x_test=pictures(6, (28, 28), 9))
    assert load_dataset(str(path)).fingerprint != before
    assert len(list((tmp_path / "home" / "data-cache").iterdir())) == 1


def test_a_home_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    monkeypatch.setenv("CONVARIUM_HOME", str(tmp_path / "home"))
    assert len(load_dataset(str(write_npz(tmp_path / "m.npz"))).train) == 12


def test_check_finds_copies_leaks_and_conflicts(tmp_path) -> None:
    told = arrays()
    told["x_test"][0] = told["x_train"][3]  # the same class, 0
    told["x_train"][5] = told["x_train"][4]  # of classes 2 and 1
    packed = find_packed(write_npz(tmp_path / "m.npz", **told))
    report = check_packed(packed)
    pairs = [(p.first, p.second, p.leak, p.conflict) for p in report.twins]
    assert pairs == [("train 4", "train 5", False, True), ("train 3", "test 0", True, False)]
    assert report.balance == {"train": dict.fromkeys("012", 4), "test": dict.fromkeys("012", 2)}
    assert report.spoilt
    assert not report.refused


@pytest.mark.data
def test_mnist(shared_data) -> None:
    data = load_dataset(str(shared_data / "mnist"), side=28)
    assert data.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert abs(255 * data.scale.mean[0] - 33.318) < 1e-3
    assert abs(255 * data.scale.std[0] - 78.567) < 1e-3


@pytest.mark.slow
@pytest.mark.data
def test_cifar10(shared_data) -> None:
    data = load_dataset(str(shared_data / "cifar10"))
    assert data.train.labels.bincount().tolist() == [5000] * 10
    assert data.test.labels.bincount().tolist() == [1000] * 10
    assert np.allclose(data.scale.mean, (0.4914, 0.4822, 0.4465), atol=5e-5)
    assert np.allclose(data.scale.std, (0.2470, 0.2435, 0.2616), atol=5e-5)
