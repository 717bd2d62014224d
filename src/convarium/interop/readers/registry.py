"""Which reader takes a file: told by its first bytes, never by its name alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from convarium.errors import InputError, UsageError
from convarium.interop.readers.apart import apart, as_stored, of_torch, unfolded
from convarium.interop.readers.caffe import looks_like_caffe
from convarium.interop.readers.codebook import is_codebook
from convarium.interop.readers.keras import is_npz
from convarium.interop.readers.model import Foreign
from convarium.interop.readers.safe import is_safetensors, read_safetensors
from convarium.interop.readers.torch_file import is_torch

Recognises = Callable[[Path, bytes], bool]
Reads = Callable[[Path, int], Foreign]
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: whether a file is of it, by path and first bytes, and its tensors."""

    name: str
    recognises: Recognises
    read: Reads


_HERE = "convarium.interop.readers"
# All but safetensors are read in a process of their own, with a limit on its memory.
_READERS: list[Reader] = [
    Reader("codebook", is_codebook, apart(f"{_HERE}.codebook:read_codebook", unfolded)),
    Reader("safetensors", is_safetensors, read_safetensors),
    Reader("keras", is_npz, apart(f"{_HERE}.keras:read_keras", unfolded)),
    Reader("torch", is_torch, apart(f"{_HERE}.torch_file:read_torch", of_torch)),
    Reader("caffe", looks_like_caffe, apart(f"{_HERE}.caffe:read_caffe", as_stored)),
]
_KNOWN_OTHERS = (
    (
        b"\x89HDF\r\n",
        "HDF5, which is not read here. In Keras: numpy.savez('weights.npz', **{w.path: w.numpy() "
        "for w in model.weights}) (w.name before Keras 3), and load that",
    ),
    (b"GGUF", "GGUF, which no network here is kept in"),
    (b"\x1f\x8b", "gzip; unpack it first"),
    (b"BZh", "bzip2; unpack it first"),
    (b"\xfd7zXZ", "xz; unpack it first"),
)


def register_reader(name: str, recognises: Recognises, read: Reads) -> None:
    """Adds a format, asked before the built-in ones.

    Args:
        name: of the format, in messages.
        recognises: takes the path and the first 4,096 bytes; True for a file of the format.
        read: takes the path and the most bytes that its tensors may need; gives a `Foreign`, or
            raises InputError with a sentence. The file is not to be trusted, and `read` runs in
            this process, without a limit on memory.

    Raises:
        UsageError: the name is taken.
    """
    if any(reader.name == name for reader in _READERS):
        raise UsageError(f"a reader called {name!r} is registered already; choose another name.")
    _READERS.insert(0, Reader(name, recognises, read))


def unregister_reader(name: str) -> None:
    """Takes a format that was added away again."""
    _READERS[:] = [reader for reader in _READERS if reader.name != name]


def read(path: str | os.PathLike[str], budget_bytes: int) -> Foreign:
    """The tensors of a weight file.

    Args:
        path: of the file.
        budget_bytes: the most that its tensors may need, in bytes; what is larger is refused
            before it is read.

    Raises:
        InputError: no weight file, a broken one, or one that is not what it says.
    """
    path = Path(path)
    try:
        if not path.is_file():
            what = "a folder" if path.is_dir() else "not a file"
            raise InputError(f"{path} is {what}; name a weight file.")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    if not head:
        raise InputError(f"{path} is empty; it holds no weights.")
    if head[257:262] == b"ustar":
        raise InputError(f"{path} is a tar archive; unpack it, or save it with a torch since 0.2.")
    for start, what in _KNOWN_OTHERS:
        if head.startswith(start):
            raise InputError(f"{path} is {what}.")
    for reader in _READERS:
        if reader.recognises(path, head):
            return reader.read(path, budget_bytes)
    raise InputError(
        f"{path} is no weight file known here: safetensors, .pth, .npz, .caffemodel or codebook."
    )
