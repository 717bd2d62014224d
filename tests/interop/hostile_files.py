"""Weight files that lie: each function writes one and gives its path.

All are aimed at Caffe's LeNet: conv1 20x1x5x5, conv2 50x20x5x5, ip1 500x800, ip2 10x500.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

import convarium

Writer = Callable[[Path], Path]
HOSTILE: dict[str, tuple[Writer, str]] = {}  # name: (writer, a part of the sentence)


def hostile(words: str) -> Callable[[Writer], Writer]:
    """Enters a writer, with what the refusal must say."""

    def enter(writer: Writer) -> Writer:
        HOSTILE[writer.__name__] = (writer, words)
        return writer

    return enter


def good() -> dict[str, torch.Tensor]:
    """A state dict that fits."""
    return dict(convarium.create_model("lenet_caffe").state_dict())


class Touches:
    """Unpickling it makes the canary file."""

    def __init__(self, call: object, *words: object) -> None:
        self.call, self.words = call, words

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call, self.words


def canary(folder: Path) -> Path:
    """The file that no reading may write."""
    return folder / "canary"


# ---- torch.save


def _saved(folder: Path, held: object, *, old: bool = False) -> Path:
    path = folder / "w.pth"
    torch.save(held, path, _use_new_zipfile_serialization=not old)
    return path


def calls(folder: Path) -> Touches:
    return Touches(os.system, f"touch {canary(folder)}")


@hostile("would call")
def pickle_that_calls_system(folder: Path) -> Path:
    return _saved(folder, {"a": calls(folder)})


@hostile("would call")
def old_pickle_that_calls_system(folder: Path) -> Path:
    return _saved(folder, {"a": calls(folder)}, old=True)


@hostile("would call")
def pickle_that_calls_eval(folder: Path) -> Path:
    return _saved(folder, Touches(eval, f"open({str(canary(folder))!r}, 'w')"))


@hostile("would call")
def pickle_that_opens(folder: Path) -> Path:
    return _saved(folder, Touches(open, str(canary(folder)), "w"))


@hostile("weights_only")
def pickle_that_hides_in_torch(folder: Path) -> Path:
    """A function of torch's own that loads another file: only weights_only refuses it."""
    torch.save(calls(folder), folder / "inner.pth")
    return _saved(folder, Touches(torch.load, str(folder / "inner.pth")))


@hostile("pickle word")
def bare_pickle_of_protocol_4(folder: Path) -> Path:
    path = folder / "w.pth"
    path.write_bytes(b"\x80\x02" + pickle.dumps(calls(folder), protocol=4)[2:])
    return path


@hostile("no file of torch.save")
def bare_pickle(folder: Path) -> Path:
    path = folder / "w.pth"
    path.write_bytes(pickle.dumps(calls(folder), protocol=5))
    return path


@hostile("notes, to fill the memory")
def pickle_of_a_huge_memo(folder: Path) -> Path:
    path = folder / "w.pth"
    path.write_bytes(b"\x80\x02}r\xf0\xff\xff\x7f.")
    return path


@hostile("cannot be read")
def pickle_of_a_lying_string(folder: Path) -> Path:
    path = folder / "w.pth"
    path.write_bytes(b"\x80\x02X\xff\xff\xff\x7fabc.")
    return path


@hostile("holds a tuple")
def pickle_nested_deep(folder: Path) -> Path:
    path = folder / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", b"\x80\x02" + b"(" * 300_000 + b"t" * 300_000 + b".")
        archive.writestr("w/version", "3\n")
    return path


@hostile("more than the file holds")
def torch_tensor_of_lying_shape(folder: Path) -> Path:
    state = good()
    state["features.conv1.weight"] = torch.zeros(1).expand(1 << 20, 1 << 15)
    return _saved(folder, state)


@hostile("list")
def torch_list(folder: Path) -> Path:
    return _saved(folder, [torch.zeros(3)])


@hostile("no state dict")
def torch_without_tensors(folder: Path) -> Path:
    return _saved(folder, {"epoch": 3, "lr": 0.1})


@hostile("between the tensors")
def torch_with_a_word_between(folder: Path) -> Path:
    return _saved(folder, OrderedDict(good(), extra="word"))


@hostile("cannot be read")
def torch_zip_cut(folder: Path) -> Path:
    path = _saved(folder, good())
    path.write_bytes(path.read_bytes()[:-2000])
    return path


@hostile("cannot be read")
def torch_old_cut(folder: Path) -> Path:
    path = _saved(folder, good(), old=True)
    path.write_bytes(path.read_bytes()[:-5000])
    return path


@hostile("compressed inside")
def torch_zip_bomb(folder: Path) -> Path:
    path = folder / "w.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"\x80\x02}.")
        archive.writestr("w/data/0", bytes(1000))
    return path


@hostile("members say")
def torch_zip_of_lying_sizes(folder: Path) -> Path:
    path = folder / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", b"\x80\x02}.")
        archive.writestr("w/data/0", bytes(1000))
    true, false = struct.pack("<LL", 1000, 1000), struct.pack("<LL", 1000, 0x7FFFFFFF)
    path.write_bytes(path.read_bytes().replace(true, false))
    return path


@hostile("no file of torch.save")
def zip_of_something_else(folder: Path) -> Path:
    path = folder / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return path


# ---- safetensors


def _safe(folder: Path, header: object, data: bytes = b"") -> Path:
    path = folder / "w.safetensors"
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def _changed(folder: Path, **changes: torch.Tensor | None) -> Path:
    tensors = good()
    for key, value in changes.items():
        name = key.replace("__", ".")
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value
    save_file(tensors, folder / "w.safetensors")
    return folder / "w.safetensors"


@hostile("is empty")
def empty_file(folder: Path) -> Path:
    (folder / "w.safetensors").write_bytes(b"")
    return folder / "w.safetensors"


@hostile("header says")
def safe_header_longer_than_the_file(folder: Path) -> Path:
    path = folder / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    return path


@hostile("no JSON")
def safe_header_nested_deep(folder: Path) -> Path:
    return _safe(folder, b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}")


@hostile("cannot be read")
def safe_offsets_beyond_the_end(folder: Path) -> Path:
    return _safe(folder, {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"1234")


@hostile("cannot be read")
def safe_shape_that_overflows(folder: Path) -> Path:
    entry = {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]}
    return _safe(folder, {"a": entry}, b"1234")


@hostile("cannot be read")
def safe_negative_side(folder: Path) -> Path:
    return _safe(folder, {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234")


@hostile("cannot be read")
def safe_overlapping_tensors(folder: Path) -> Path:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    return _safe(folder, {"a": entry, "b": entry}, b"1234")


@hostile("no finite numbers")
def safe_nan(folder: Path) -> Path:
    return _changed(folder, classifier__ip2__bias=torch.full((10,), float("nan")))


@hostile("no finite numbers")
def safe_infinity(folder: Path) -> Path:
    return _changed(folder, classifier__ip2__bias=torch.full((10,), float("inf")))


@hostile("no finite numbers")
def safe_too_large_for_single_precision(folder: Path) -> Path:
    big = torch.full((10,), 1e300, dtype=torch.float64)
    return _changed(folder, classifier__ip2__bias=big)


@hostile("has no bias")
def safe_missing_key(folder: Path) -> Path:
    return _changed(folder, classifier__ip2__bias=None)


@hostile("which this network lacks")
def safe_extra_layer(folder: Path) -> Path:
    return _changed(folder, classifier__ip3__weight=torch.zeros(3, 3))


@hostile("this network has none")
def safe_extra_role(folder: Path) -> Path:
    return _changed(folder, classifier__ip2__scale=torch.zeros(3))


@hostile("torch.int64")
def safe_whole_numbers(folder: Path) -> Path:
    return _changed(folder, classifier__ip2__bias=torch.zeros(10, dtype=torch.int64))


@hostile("torch.complex64")
def safe_complex_numbers(folder: Path) -> Path:
    return _changed(folder, classifier__ip2__bias=torch.zeros(10, dtype=torch.complex64))


@hostile("10x500 expected, file has 500x10")
def safe_wrong_shape(folder: Path) -> Path:
    return _changed(folder, classifier__ip2__weight=torch.zeros(500, 10))


@hostile("norm_eps")
def safe_epsilon_that_is_none(folder: Path) -> Path:
    save_file(good(), folder / "w.safetensors", metadata={"norm_eps": "nan"})
    return folder / "w.safetensors"
