"""Weight files that lie: .npz, .caffemodel, codebooks, and files of other kinds.

All are aimed at Caffe's LeNet, as those of `hostile_files.py`.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from interop.caffe_files import blob, block, layer, number, varint
from interop.hostile_files import calls, canary, hostile

# ---- .npz


def _npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text + data


def _npz(folder: Path, members: dict[str, bytes], *, packed: bool = False) -> Path:
    path = folder / "w.npz"
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


@hostile("weights are floats")
def npz_of_objects(folder: Path) -> Path:
    held = np.array([calls(folder)], dtype=object)
    np.savez(folder / "w.npz", **{"conv1/kernel:0": held})
    return folder / "w.npz"


@hostile("says")
def npz_of_lying_shape(folder: Path) -> Path:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    return _npz(folder, {"conv1/kernel": _npy(header, b"1234")})


@hostile("says -1")
def npz_negative_side(folder: Path) -> Path:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"
    return _npz(folder, {"conv1/kernel": _npy(header, b"1234")})


@hostile("unpacks from")
def npz_bomb(folder: Path) -> Path:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((6_000_000,), "<f4"))
    return _npz(folder, {"conv1/kernel": buffer.getvalue()}, packed=True)


@hostile("cannot be read")
def npz_header_with_code(folder: Path) -> Path:
    header = f"__import__('os').system('touch {canary(folder)}')"
    return _npz(folder, {"conv1/kernel": _npy(header)})


@hostile("cannot be read")
def npz_of_no_arrays(folder: Path) -> Path:
    return _npz(folder, {"conv1/kernel": b"hello"})


@hostile("no array of a Keras layer")
def npz_of_other_names(folder: Path) -> Path:
    np.savez(folder / "w.npz", hello=np.zeros(3))
    return folder / "w.npz"


@hostile("two arrays of one name")
def npz_with_a_name_twice(folder: Path) -> Path:
    path = _npz(folder, {"a/kernel": b"1", "b/kernel": b"2"})
    path.write_bytes(path.read_bytes().replace(b"b/kernel", b"a/kernel"))
    return path


# ---- .caffemodel


def _caffe(folder: Path, data: bytes) -> Path:
    (folder / "w.caffemodel").write_bytes(data)
    return folder / "w.caffemodel"


@hostile("says")
def caffe_huge_length(folder: Path) -> Path:
    return _caffe(folder, varint(100 << 3 | 2) + varint(1 << 62) + b"abc")


@hostile("does not end")
def caffe_endless_number(folder: Path) -> Path:
    return _caffe(folder, varint(100 << 3 | 2) + b"\xff" * 40)


@hostile("says -5x5")
def caffe_negative_side(folder: Path) -> Path:
    shape = block(7, block(1, varint(-5) + varint(5)))
    return _caffe(folder, block(100, block(1, "conv1") + block(7, shape + block(5, b"1234"))))


@hostile("the file has 1 numbers")
def caffe_lying_shape(folder: Path) -> Path:
    shape = block(7, block(1, varint(1 << 40) + varint(1 << 40)))
    return _caffe(folder, block(100, block(1, "conv1") + block(7, shape + block(5, b"1234"))))


@hostile("more than 8 sides")
def caffe_of_many_sides(folder: Path) -> Path:
    shape = block(7, block(1, b"\x01" * 100_000))
    return _caffe(folder, block(100, block(1, "conv1") + block(7, shape + block(5, b"1234"))))


@hostile("wire type 3")
def caffe_nested_groups(folder: Path) -> Path:
    return _caffe(folder, block(1, "net") + varint(5 << 3 | 3) * 100_000)


@hostile("no layer with weights")
def caffe_nested_deep(folder: Path) -> Path:
    data = b""
    for _ in range(300):
        data = block(100, data)
    return _caffe(folder, data)


@hostile("more than 16 blobs")
def caffe_of_many_blobs(folder: Path) -> Path:
    one = block(7, blob(np.zeros(1)))
    return _caffe(folder, block(100, block(1, "conv1") + one * 5000))


@hostile("not mean, variance and one factor")
def caffe_norm_without_factor(folder: Path) -> Path:
    return _caffe(folder, layer("bn", "BatchNorm", [np.zeros(3), np.ones(3)]))


@hostile("bytes of <f4 numbers")
def caffe_numbers_cut(folder: Path) -> Path:
    return _caffe(folder, block(100, block(1, "conv1") + block(7, block(5, b"123"))))


@hostile("field number 0")
def caffe_zero_field(folder: Path) -> Path:
    return _caffe(folder, block(1, "net") + number(0, 3))


# ---- codebooks


def _book(folder: Path, **parts: torch.Tensor) -> Path:
    tensors = {f"ip2.{role}": tensor for role, tensor in parts.items()}
    metadata = {"format": "convarium-codebook/1"}
    save_file(tensors, folder / "w.safetensors", metadata=metadata)
    return folder / "w.safetensors"


@hostile("beyond its codebook")
def codebook_index_beyond(folder: Path) -> Path:
    index = torch.tensor([0, 9], dtype=torch.uint8)
    return _book(folder, codebook=torch.zeros(4), index=index)


@hostile("run beyond its shape")
def codebook_gaps_beyond(folder: Path) -> Path:
    two = torch.tensor([0, 200], dtype=torch.uint8)
    zeros = torch.zeros(2, dtype=torch.uint8)
    shape = torch.tensor([3, 3])
    return _book(folder, codebook=torch.zeros(4), index=zeros, gap=two, shape=shape)


@hostile("far more than this network")
def codebook_huge_shape(folder: Path) -> Path:
    zeros = torch.zeros(2, dtype=torch.uint8)
    shape = torch.tensor([1 << 20, 1 << 20])
    return _book(folder, codebook=torch.zeros(4), index=zeros, gap=zeros.clone(), shape=shape)


# ---- files of other kinds


@hostile("HDF5")
def hdf5(folder: Path) -> Path:
    (folder / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return folder / "w.h5"


@hostile("no weight file known here")
def picture(folder: Path) -> Path:
    (folder / "w.bin").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    return folder / "w.bin"


@hostile("is a folder")
def folder_of_files(folder: Path) -> Path:
    (folder / "w.pth").mkdir()
    return folder / "w.pth"
