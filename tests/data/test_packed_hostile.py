"""Packed files that lie, are cut, or would run code: one sentence each, and nothing is decoded."""

from __future__ import annotations

import contextlib
import gzip
import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from convarium.cli.app import main
from convarium.data import load_dataset
from convarium.data.packed import arrays as limits
from convarium.errors import InputError
from data.packed_files import (
    arrays,
    idx,
    pictures,
    write_cifar_binary,
    write_cifar_python,
    write_idx,
    write_npz,
)

LABELS = arrays()["y_train"]
FLOATS = arrays()["x_train"].astype(np.float32)


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _zip_with(path: Path, member: str, data: bytes) -> Path:
    """A sound set but for one member."""
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in arrays().items():
            archive.writestr(f"{key}.npy", data if key == member else _npy(array))
    return path


NPZ = {
    "no x_train": ({"x_train": None}, "lacks x_train; it has"),
    "float pictures": ({"x_train": FLOATS}, "x_train is float32, and pictures must be uint8"),
    "NaN pictures": ({"x_train": FLOATS * np.nan}, "must be uint8"),
    "wide pictures": ({"x_train": FLOATS.astype(np.uint16)}, "x_train is uint16"),
    "flat pictures": ({"x_train": pictures(12, (784,))}, "has 2 axes"),
    "five channels": ({"x_train": pictures(12, (9, 9, 5))}, "no axis of 1 or 3"),
    "either channels": ({"x_train": pictures(12, (3, 9, 3))}, "first or last"),
    "no pixels": ({"x_train": pictures(12, (0, 9))}, "pictures of"),
    "other sides": ({"x_test": pictures(6, (27, 28))}, "in train and .* in test"),
    "too few labels": ({"y_train": LABELS[:5]}, "12 pictures and 5 labels"),
    "float labels": ({"y_train": LABELS + 0.5}, "labels must be whole numbers"),
    "square labels": ({"y_train": np.eye(12, dtype=np.uint8)}, r"labels must be \(N,\)"),
    "negative labels": ({"y_train": LABELS.astype(np.int8) - 1}, "from -1"),
    "huge labels": ({"y_train": LABELS.astype(np.uint64) + 2**63}, "has labels from"),
    "label beyond classes": ({"classes": np.array(["a", "b"])}, "the label 2, of 2 classes"),
    "one class": ({"y_train": LABELS * 0, "y_test": LABELS[:6] * 0}, "one class"),
    "an unseen class": ({"y_test": LABELS[:6] + 1}, "test has the class '3', which train lacks"),
    "no test pictures": ({"x_test": pictures(0, (28, 28)), "y_test": LABELS[:0]}, "no pictures"),
    "equal class names": ({"classes": np.array(["a", "a", "b"])}, "two classes have one name"),
    "classes in a square": ({"classes": np.array([["a"], ["b"]])}, "a row of words"),
    "too few names": (
        {"name_train": np.array(["a"]), "name_test": np.array(["b"])},
        "2 names for 18 pictures",
    ),
}


@pytest.mark.parametrize("case", NPZ)
def test_an_npz_that_is_no_data_set(tmp_path, case) -> None:
    changes, message = NPZ[case]
    _refused(write_npz(tmp_path / "a.npz", **changes), message)


def _objects(path: Path) -> Path:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}, 1], object))
    return _zip_with(path, "y_train", buffer.getvalue())


def _cut(path: Path) -> Path:
    whole = write_npz(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def _flipped(path: Path) -> Path:
    whole = bytearray(write_npz(path).read_bytes())
    whole[len(whole) // 3] ^= 255
    path.write_bytes(whole)
    return path


def _says(shape: str, type_: str = "|u1") -> bytes:
    return _header(f"{{'descr': '{type_}', 'fortran_order': False, 'shape': {shape}, }}\n")


FILES = {
    "objects": (_objects, "object values, which are not read"),
    "cut in two": (_cut, "cannot be read as .npz"),
    "a flipped byte": (_flipped, "cannot be read as .npz"),
    "no zip": (lambda path: path.write_bytes(b"no archive") and path, "cannot be read as .npz"),
    "empty": (lambda path: path.touch() or path, "cannot be read as .npz"),
    "a lying shape": (
        lambda path: _zip_with(path, "x_train", _says("(10, 28, 28)") + bytes(99)),
        "cut short",
    ),
    "a shape of terabytes": (
        lambda path: _zip_with(path, "x_train", _says("(10**9, 28, 28)") + bytes(99)),
        "cannot be read",
    ),
    "a shape beyond the limit": (
        lambda path: _zip_with(path, "x_train", _says("(1000000000, 28, 28)") + bytes(99)),
        "more than 8 GB",
    ),
    "a side below 0": (
        lambda path: _zip_with(path, "x_train", _says("(-1, 28, 28)") + bytes(99)),
        "below 0",
    ),
    "more bytes than told": (
        lambda path: _zip_with(path, "x_train", _says("(2, 3, 3)") + bytes(99)),
        "longer than its header says",
    ),
    "code for a shape": (
        lambda path: _zip_with(path, "x_train", _says("__import__('os').getcwd()")),
        "cannot be read",
    ),
    "a type that is none": (
        lambda path: _zip_with(path, "x_train", _says("(2,)", "quatsch")),
        "cannot be read",
    ),
    "a long header": (
        lambda path: _zip_with(path, "x_train", _header(" " * 60_000)),
        "cannot be read",
    ),
    "no npy": (lambda path: _zip_with(path, "x_train", b"\x00" * 50), "cannot be read"),
}


@pytest.mark.parametrize("case", FILES)
def test_an_npz_that_is_damaged(tmp_path, case) -> None:
    make, message = FILES[case]
    _refused(make(tmp_path / "a.npz"), message)


def test_sizes_in_the_directory_are_added_up_before_anything_is_decoded(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("convarium.data.packed.npz.MAX_BYTES", 10_000)
    _refused(write_npz(tmp_path / "a.npz"), "GB of arrays")


def test_two_arrays_of_one_name(tmp_path) -> None:
    path = write_npz(tmp_path / "a.npz")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", _npy(pictures(12, (28, 28))))
    _refused(path, "two of its arrays have one name")


IMAGES = "train-images-idx3-ubyte"
IDX = {
    "another magic": (b"\x00\x00\x0d\x03" + bytes(99), "is no IDX file of bytes"),
    "too many axes": (idx(pictures(2, (2, 2, 2))), "is no IDX file of bytes"),
    "cut": (idx(arrays()["x_train"])[:-1], "cut short"),
    "too long": (idx(arrays()["x_train"]) + b"1", "longer than its header says"),
    "a header alone": (idx(arrays()["x_train"])[:9], "cannot be read"),
    "four billion pictures": (
        b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 28, 28),
        "more than 8 GB",
    ),
}


@pytest.mark.parametrize("case", IDX)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_that_lie(tmp_path, case, packed) -> None:
    folder = write_idx(tmp_path / "m", packed=packed)
    data, message = IDX[case]
    name = f"{IMAGES}.gz" if packed else IMAGES
    (folder / name).write_bytes(gzip.compress(data) if packed else data)
    _refused(folder, message)


def test_an_idx_archive_that_is_cut(tmp_path) -> None:
    folder = write_idx(tmp_path / "m", packed=True)
    whole = (folder / f"{IMAGES}.gz").read_bytes()
    (folder / f"{IMAGES}.gz").write_bytes(whole[:-20])
    _refused(folder, "cannot be read")


def test_a_missing_idx_file(tmp_path) -> None:
    folder = write_idx(tmp_path / "m")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    _refused(folder, "lacks the IDX files of test labels")


def test_two_sets_in_one_folder(tmp_path) -> None:
    write_idx(tmp_path / "m", prefix="emnist-mnist-")
    _refused(write_idx(tmp_path / "m", prefix="emnist-letters-"), "holds 2 data sets")


def test_binary_batches_of_another_size(tmp_path) -> None:
    folder = write_cifar_binary(tmp_path / "c")
    (folder / "data_batch_3.bin").write_bytes(bytes(3072))
    _refused(folder, "no multiple of 3,073")


def test_a_missing_batch(tmp_path) -> None:
    folder = write_cifar_binary(tmp_path / "c")
    (folder / "data_batch_2.bin").unlink()
    _refused(folder, "lacks data_batch_2.bin")


class _Runs:
    """Its pickle would leave a file when it is run."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.place), "w")


def _batch(**changes: object) -> dict[bytes, object]:
    told = {"labels": [0, 1, 2] * 2, "data": pictures(6, (3072,))} | changes
    return {key.encode(): value for key, value in told.items()}


PICKLES = {
    "an object array": (_batch(data=np.array([[{}] * 3072], object)), "names|plain bytes"),
    "floats": (_batch(data=np.zeros((6, 3072))), "has no data of"),
    "another width": (_batch(data=pictures(6, (3071,))), "has no data of"),
    "no labels": ({b"data": pictures(6, (3072,))}, "no list of labels"),
    "words for labels": (_batch(labels=["a"] * 6), "no list of labels"),
    "a label too many": (_batch(labels=[0] * 7), "6 pictures and 7 labels"),
    "a label below 0": (_batch(labels=[-1, 1, 2, 0, 1, 2]), "from -1"),
    "a label of 100 digits": (_batch(labels=[10**100, 1, 2, 0, 1, 2]), "beyond 32 bits"),
    "a list": ([1, 2], "no dictionary"),
    "a set": (_batch(extra={1, 2}), "names|opcode"),
}


@pytest.mark.parametrize("case", PICKLES)
def test_pickled_batches_that_are_none(tmp_path, case) -> None:
    folder = write_cifar_python(tmp_path / "c")
    told, message = PICKLES[case]
    (folder / "data_batch_1").write_bytes(pickle.dumps(told, 2))
    _refused(folder, message)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_never_run(tmp_path, protocol) -> None:
    folder = write_cifar_python(tmp_path / "c")
    told = _batch(extra=_Runs(tmp_path / "it ran"))
    (folder / "data_batch_1").write_bytes(pickle.dumps(told, protocol))
    _refused(folder, r"open, which is not run|opcode")
    assert not (tmp_path / "it ran").exists()


PROGRAMS = (
    *(b"", b"\x80\x02.", b"\x80\x02}q\x00", b"\x80\x02e.", b"\x80\x02s.", b"\x80\x02h\x05."),
    *(b"\x80\x02r\xff\xff\xff\xff.", b"\x80\x04B\xff\xff\xff\xff.", b"\x80\x02cos\nsystem\n."),
    *(b"(lp0\n.", b"\x80\x02(((((.", b"\x80\x02}}b.", b"\x80\x02)R."),
)


# A key that is a pair of pairs of pairs: to hash it, as a dictionary does, takes 2 ** 60 steps.
_PAIRS = b"\x80\x02}K\x01" + b"q\x00h\x00\x86" * 60 + b"K\x01s."


@pytest.mark.parametrize("program", [*PROGRAMS, _PAIRS])
def test_opcodes_that_make_no_sense(tmp_path, program) -> None:
    folder = write_cifar_python(tmp_path / "c")
    (folder / "test_batch").write_bytes(program)
    _refused(folder, "is no pickled batch")


def test_a_flipped_byte_anywhere_never_crashes(tmp_path) -> None:
    folder = write_cifar_python(tmp_path / "c")
    whole = (folder / "test_batch").read_bytes()
    places = [*range(0, 200), *range(len(whole) - 200, len(whole))]
    for place in places[::7]:
        flipped = bytearray(whole)
        flipped[place] ^= 0x55
        (folder / "test_batch").write_bytes(flipped)
        with contextlib.suppress(InputError):  # anything else fails the test
            load_dataset(str(folder))


def test_the_verb_says_one_sentence_and_exits_with_3(tmp_path, capsys) -> None:
    path = write_npz(tmp_path / "a.npz", x_train=FLOATS)
    code = main(["train", "lenet5", "--data", str(path), "--out", str(tmp_path / "run")])
    assert code == 3
    assert capsys.readouterr().err.strip().count("\n") == 0


def test_check_tells_a_refused_set(tmp_path, capsys) -> None:
    path = write_npz(tmp_path / "a.npz", x_train=FLOATS)
    assert main(["data", "check", str(path)]) == 3
    assert "must be uint8" in capsys.readouterr().out


def test_the_limit_is_8_gigabytes() -> None:
    assert limits.MAX_BYTES == 8 * 10**9


def _refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_dataset(str(path))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
