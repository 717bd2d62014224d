"""Weight files are read in a process of their own: what it cannot do, and what it hands back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import convarium
from convarium.errors import ExhaustedError, InputError
from convarium.interop.readers import apart, read
from convarium.interop.readers.apart import read_apart
from interop import bad_readers
from interop.caffe_files import blob, block, layer, number, varint
from interop.conftest import read_here
from interop.hostile_files import canary

pytestmark = pytest.mark.usefixtures("own_process")
BUDGET = 1 << 20
MEMORY = 256 << 20
TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the bad readers do not look at, and those where the process finds them."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    (tmp_path / "w.npz").write_bytes(b"PK")
    return tmp_path / "w.npz"


def _read_by(reader: str, path: Path) -> apart.Foreign:
    return read_apart(f"interop.bad_readers:{reader}", path, BUDGET, MEMORY)


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        ("asks_for_memory", "cannot be read in 268 MB of memory"),
        ("aborts", "the process that read it ended with SIGABRT"),
        ("leaves", "the process that read it ended with exit code 7"),
        ("gives_too_much", "far more than this network's weights need"),
    ],
)
def test_a_reader_that_goes_wrong_costs_a_sentence(weights: Path, reader: str, words: str) -> None:
    assert bad_readers.ASKED_BYTES > MEMORY
    with pytest.raises(InputError) as refusal:
        _read_by(reader, weights)
    assert str(refusal.value).startswith(f"{weights} ")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_one_that_hangs_is_ended(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 1)
    with pytest.raises(InputError, match="was not read within 1 seconds"):
        _read_by("hangs", weights)


def test_one_that_may_not_be_started(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(weights))
    with pytest.raises(ExhaustedError, match="own, which cannot start: Permission denied"):
        _read_by("lacks_torch", weights)


def test_it_has_no_torch_unless_the_file_needs_it(weights: Path) -> None:
    assert _read_by("lacks_torch", weights).tensors["a.weight"].tolist() == [1]


def _peak_bytes() -> int:
    """The most memory that was resident here since `_forget_peak`."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("this system does not forget a process's peak of memory")


def _caffe_of_empty_fields(folder: Path) -> Path:
    """One layer of half a million fields without a byte: 1 MB, and 250 bytes each once listed."""
    empty = varint(3 << 3 | 2) + varint(0)
    (folder / "w.caffemodel").write_bytes(block(100, block(1, "c") + empty * 500_000))
    return folder / "w.caffemodel"


def _npz_of_many_members(folder: Path) -> Path:
    """A list of 200,000 members in the end of a zip file that holds none of them: 10 MB."""
    member = b"PK\x01\x02" + bytes(24) + (1).to_bytes(2, "little") + bytes(16) + b"a"
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff" + (47 * 200_000).to_bytes(4, "little")
    start = b"PK\x03\x04" + bytes(22) + (5).to_bytes(2, "little") + bytes(2) + b"a.npy"
    end += len(start).to_bytes(4, "little") + bytes(2)
    (folder / "w.npz").write_bytes(start + member * 200_000 + end)
    return folder / "w.npz"


def _zip_of_many_members(folder: Path) -> Path:
    path = _npz_of_many_members(folder)
    path.write_bytes(path.read_bytes().replace(b"a.npy", b"a.pkl"))
    return path.rename(folder / "w.pth")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (_caffe_of_empty_fields, "MB of memory, more than a file of its size needs"),
        (_npz_of_many_members, "200000 arrays"),
        (_zip_of_many_members, "200000 members"),
    ],
)
def test_what_swells_in_its_reader_does_not_swell_here(tmp_path: Path, write, words: str) -> None:
    path = write(tmp_path)
    _forget_peak()
    before = _peak_bytes()
    with pytest.raises(InputError, match=words):
        read(path, 1 << 30)
    assert _peak_bytes() - before < 32 << 20


def test_one_that_talks_without_an_end_is_not_listened_to(weights: Path) -> None:
    _forget_peak()
    before = _peak_bytes()
    with pytest.raises(InputError, match="ended with exit code 1"):
        _read_by("talks", weights)
    assert _peak_bytes() - before < 32 << 20


def test_modules_beside_the_file_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python looks where it stands first, and users stand where the file lies."""
    for name in ("json", "safetensors", "numpy", "convarium"):
        (tmp_path / f"{name}.py").write_text(f"open({str(canary(tmp_path))!r}, 'w').close()\n")
    np.savez(tmp_path / "w.npz", **{"conv1/kernel": np.zeros((3, 3, 1, 2), "f4")})
    monkeypatch.chdir(tmp_path)
    assert read("w.npz", BUDGET).label == "w.npz"
    assert not canary(tmp_path).exists()


def test_a_sentence_names_the_file_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("w.npz", hello=np.zeros(3))
    with pytest.raises(InputError, match=r"^w\.npz: hello is no array of a Keras layer"):
        read("w.npz", BUDGET)


# ---- what comes back


def _caffe(folder: Path) -> Path:
    weight, stride = blob(np.arange(8.0).reshape(2, 1, 2, 2)), block(106, number(6, 2))
    data = block(100, block(1, "z") + block(2, "Convolution") + block(7, weight) + stride)
    data += layer("a", "BatchNorm", [np.ones(2), np.full(2, 3.0), np.full(1, 2.0)])
    (folder / "w.caffemodel").write_bytes(data)
    return folder / "w.caffemodel"


def _keras(folder: Path) -> Path:
    named = {"z/kernel": np.arange(18.0).reshape(3, 3, 1, 2), "a/bias": np.ones(2, "f2")}
    np.savez_compressed(folder / "w.npz", **named)
    return folder / "w.npz"


def _codebook(folder: Path) -> Path:
    parts = {
        "z.codebook": torch.tensor([0.5, -3.0], dtype=torch.bfloat16),
        "z.index": torch.tensor([[1, 0], [1, 1]], dtype=torch.uint8),
        "a.bias": torch.tensor([1.5], dtype=torch.bfloat16),
    }
    words = {"format": "convarium-codebook/1", "norm_eps": "0.001"}
    save_file(parts, folder / "w.safetensors", metadata=words)
    return folder / "w.safetensors"


@pytest.mark.parametrize("write", [_caffe, _keras, _codebook])
def test_what_is_read_comes_back_whole(tmp_path: Path, monkeypatch, write) -> None:
    """Names in their order, kinds of numbers, and all that the file tells beside them."""
    path = write(tmp_path)
    away = read(path, BUDGET)
    monkeypatch.setattr(apart, "read_apart", read_here)
    here = read(path, BUDGET)
    assert list(away.tensors) == list(here.tensors)
    assert next(iter(away.tensors)).startswith("z")
    for key, tensor in here.tensors.items():
        assert away.tensors[key].dtype == tensor.dtype
        assert torch.equal(away.tensors[key], tensor)
    about = ("ecosystem", "maps_last", "norm_eps", "ordered", "notes", "said", "network", "label")
    for name in about:
        assert getattr(away, name) == getattr(here, name), name


def test_a_codebook_of_bfloat16_keeps_its_values(tmp_path: Path) -> None:
    tensors = read(_codebook(tmp_path), BUDGET).tensors
    assert tensors["z"].tolist() == [[-3.0, 0.5], [-3.0, -3.0]]
    assert tensors["a.bias"].tolist() == [1.5]


NUMBERS = 8_000_000


def _large_caffe(folder: Path) -> Path:
    one = layer("a", "InnerProduct", [np.ones((1, NUMBERS), "f4")])
    (folder / "w.caffemodel").write_bytes(one)
    return folder / "w.caffemodel"


def _large_keras(folder: Path) -> Path:
    values = np.random.default_rng(0).random((NUMBERS // 2, 2), "f4")
    np.savez(folder / "w.npz", **{"a/kernel": values})
    return folder / "w.npz"


def _large_codebook(folder: Path) -> Path:
    zeros = torch.zeros(NUMBERS // 2, dtype=torch.uint8)
    parts = {
        "a.codebook": torch.ones(1),
        "a.index": zeros,
        "a.gap": zeros + 1,
        "a.shape": torch.tensor([2, NUMBERS // 2]),
    }
    save_file(parts, folder / "w.safetensors", metadata={"format": "convarium-codebook/1"})
    return folder / "w.safetensors"


@pytest.mark.parametrize("write", [_large_caffe, _large_keras, _large_codebook])
def test_a_file_that_is_one_large_array_is_read(tmp_path: Path, write) -> None:
    """The most copies for its size, and without the gigabyte that every budget has to spare."""
    found = read(write(tmp_path), 16 * NUMBERS).tensors.values()
    assert [tensor.numel() for tensor in found] == [NUMBERS]


def test_a_network_is_filled(tmp_path: Path) -> None:
    model = convarium.create_model("lenet_caffe")
    theirs = {"conv1": (20, 1, 5, 5), "conv2": (50, 20, 5, 5), "ip1": (500, 800), "ip2": (10, 500)}
    data = b""
    for name, shape in theirs.items():
        kind = "Convolution" if len(shape) == 4 else "InnerProduct"
        data += layer(name, kind, [np.full(shape, 0.25, "f4"), np.full(shape[:1], 0.5, "f4")])
    (tmp_path / "w.caffemodel").write_bytes(data)
    assert convarium.load_weights(model, tmp_path / "w.caffemodel").source == "caffe"
    assert set(model.classifier.ip1.weight.unique().tolist()) == {0.25}
