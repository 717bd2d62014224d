"""Small packed sets of every form, written as their authors' tools write them."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np

CLASSES = ("ant", "bee", "cat")


def pictures(count: int, shape: tuple[int, ...] = (32, 32), seed: int = 0) -> np.ndarray:
    """(count, *shape) uint8 at random."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def arrays(shape: tuple[int, ...] = (28, 28)) -> dict[str, np.ndarray]:
    """Twelve pictures to train on and six to test, of three classes."""
    labels = np.arange(18, dtype=np.uint8) % 3
    x = pictures(18, shape)
    return {"x_train": x[:12], "y_train": labels[:12], "x_test": x[12:], "y_test": labels[12:]}


def write_npz(path: Path, **changes: object) -> Path:
    """An .npz with `changes` to `arrays()`; None leaves one out."""
    told = {key: value for key, value in {**arrays(), **changes}.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **told)
    return path


def idx(data: np.ndarray) -> bytes:
    """The IDX form of unsigned bytes."""
    return bytes((0, 0, 8, data.ndim)) + struct.pack(f">{data.ndim}I", *data.shape) + data.tobytes()


def write_idx(folder: Path, *, prefix: str = "", packed: bool = False) -> Path:
    """The four files of MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    a = arrays()
    for name, data in (
        ("train-images-idx3", a["x_train"]),
        ("train-labels-idx1", a["y_train"]),
        ("t10k-images-idx3", a["x_test"]),
        ("t10k-labels-idx1", a["y_test"]),
    ):
        whole = gzip.compress(idx(data)) if packed else idx(data)
        (folder / f"{prefix}{name}-ubyte{'.gz' if packed else ''}").write_bytes(whole)
    return folder


def write_cifar_binary(folder: Path, *, fine: bool = False) -> Path:
    """CIFAR-10's six files, or CIFAR-100's two (with a coarse label of 7 before each fine one)."""
    folder.mkdir(parents=True, exist_ok=True)
    batches = ["train"] if fine else [f"data_batch_{n}" for n in range(1, 6)]
    for seed, name in enumerate([*batches, "test" if fine else "test_batch"]):
        x, y = pictures(6, (3072,), seed), np.arange(6, dtype=np.uint8)[:, None] % 3
        labels = np.hstack([np.full_like(y, 7), y]) if fine else y
        (folder / f"{name}.bin").write_bytes(np.hstack([labels, x]).tobytes())
    names = "fine_label_names.txt" if fine else "batches.meta.txt"
    (folder / names).write_text("\n".join(CLASSES) + "\n\n")
    return folder


def write_cifar_python(folder: Path, *, fine: bool = False, protocol: int = 2) -> Path:
    """The pickled version, with keys as bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    batches = ["train"] if fine else [f"data_batch_{n}" for n in range(1, 6)]
    key = b"fine_labels" if fine else b"labels"
    for seed, name in enumerate([*batches, "test" if fine else "test_batch"]):
        batch = {
            b"batch_label": b"a batch",
            key: [0, 1, 2, 0, 1, 2],
            b"data": pictures(6, (3072,), seed),
            b"filenames": [b"leptodactylus_pentadactylus_s_000004.png"] * 6,
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol))
    names = {b"fine_label_names" if fine else b"label_names": [c.encode() for c in CLASSES]}
    (folder / ("meta" if fine else "batches.meta")).write_bytes(pickle.dumps(names, protocol))
    return folder
