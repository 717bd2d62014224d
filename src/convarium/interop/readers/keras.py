"""Arrays of Keras in an .npz: kernels HWIO, dense (in, out), maps with their channels last.

Names are those that Keras writes into .h5 files ("block1_conv1/kernel:0", with the layer's name
once or twice, or "block1_conv1_W_1:0" of old), or numpy's own arr_0, arr_1 .. as
`numpy.savez(path, *model.get_weights())` makes them.
"""

from __future__ import annotations

import re
import zipfile
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from convarium.errors import InputError
from convarium.interop.readers.model import Foreign
from convarium.interop.readers.safe import broken, too_large

MAX_ARRAYS = 20_000
MAX_RATIO = 200  # of unpacked to packed bytes, where it matters
WORTH_ASKING_BYTES = 16 << 20
_ROLES = {
    "kernel": "weight",
    "W": "weight",
    "weights": "weight",
    "depthwise_kernel": "depthwise",
    "depthwise_weights": "depthwise",
    "bias": "bias",
    "biases": "bias",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "running_mean": "running_mean",
    "moving_variance": "running_var",
    "running_std": "running_var",  # an old spelling; it holds the variance
}
_OLD_NAME = re.compile(r"(.+)_(W|b|gamma|beta|running_mean|running_std)(?:_\d+)?")


def is_npz(path: Path, head: bytes) -> bool:
    """A zip file of .npy members."""
    if not head.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.suffix == ".npz"
    return path.suffix == ".npz" or (bool(names) and all(n.endswith(".npy") for n in names))


def read_keras(path: Path, budget_bytes: int) -> Foreign:
    """The arrays of an .npz in PyTorch's layouts, under Keras's names of the layers.

    Raises:
        InputError: objects, sizes that lie, more than the budget, names of no Keras layer.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members, budget_bytes)
            arrays = {m.filename.removesuffix(".npy"): _array(path, archive, m) for m in members}
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise broken(path, error) from error
    except (ValueError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise broken(path, error) from error
    if all(re.fullmatch(r"arr_\d+", name) for name in arrays):
        arrays = _numbered(path, arrays)
    tensors: dict[str, Tensor] = {}
    for name, array in arrays.items():
        key, tensor = _as_torch(path, name, torch.from_numpy(array))
        if key in tensors:
            raise InputError(f"{path} has {key} twice, the second time as {name}.")
        tensors[key] = tensor
    return Foreign(tensors, str(path), ecosystem="keras", maps_last=True)


def _check_members(path: Path, members: list[zipfile.ZipInfo], budget_bytes: int) -> None:
    if not 0 < len(members) <= MAX_ARRAYS:
        raise InputError(f"{path} has {len(members)} arrays; from 1 to {MAX_ARRAYS} are read.")
    total = sum(member.file_size for member in members)
    if total > budget_bytes:
        raise too_large(path, total, budget_bytes)
    if len({member.filename for member in members}) != len(members):
        raise InputError(f"{path} has two arrays of one name.")
    for member in members:
        swells = member.file_size > MAX_RATIO * max(member.compress_size, 1)
        if swells and member.file_size > WORTH_ASKING_BYTES:
            raise InputError(
                f"{path}: {member.filename} unpacks from {member.compress_size} bytes to "
                f"{member.file_size}; no trained weights do."
            )


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array, its header checked against the member's size before the numbers are read."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise InputError(f"{path}: {member.filename} is of version {version}; 1 and 2 are.")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
            raise InputError(f"{path}: {member.filename} holds {dtype}; weights are floats.")
        needs = prod(shape) * dtype.itemsize
        # The header takes the rest: it is under 1 KiB for any true array.
        if any(side < 0 for side in shape) or not 0 <= member.file_size - needs <= 1024:
            says = "x".join(map(str, shape))
            raise InputError(
                f"{path}: {member.filename} says {says}, but has {member.file_size} bytes."
            )
        data = file.read(needs)
    if len(data) != needs:
        raise InputError(f"{path}: {member.filename} is cut at {len(data)} of {needs} bytes.")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")
    return np.ascontiguousarray(array.astype(dtype.newbyteorder("=")))


def _as_torch(path: Path, name: str, tensor: Tensor) -> tuple[str, Tensor]:
    words = name.removeprefix("model_weights/").split("/")
    role = words[-1].split(":")[0]
    if role not in _ROLES:
        old = _OLD_NAME.fullmatch(role)
        if old is None and "." in role:
            words[-1:] = role.rsplit(".", 1)
            role = words[-1]
        elif old is not None:
            # Older than Keras 2: the layer's name is in front, and again in the folder.
            words, role = [old[1], old[2]], old[2]
    if role not in _ROLES or len(words) < 2:
        raise InputError(f"{path}: {name} is no array of a Keras layer (kernel, bias, gamma ..).")
    layer = words[:-1]
    half = len(layer) // 2
    if len(layer) > 1 and len(layer) % 2 == 0 and layer[:half] == layer[half:]:
        layer = layer[half:]
    kind = _ROLES[role]
    if kind == "depthwise":
        if tensor.dim() != 4:
            raise InputError(f"{path}: {name} has {tensor.dim()} sides, a depthwise kernel four.")
        height, width, channels, times = tensor.shape
        turned = tensor.permute(2, 3, 0, 1).reshape(channels * times, 1, height, width)
        return f"{'/'.join(layer)}.weight", turned.contiguous()
    turned = tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor
    turned = tensor.T if tensor.dim() == 2 else turned
    return f"{'/'.join(layer)}.{kind}", turned.contiguous()


def _numbered(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Names for arr_0, arr_1 .. in the order of model.get_weights().

    An array of two sides or more opens a layer; a bias may follow it, and batch norms of four
    arrays each (gamma, beta, mean, variance) stand between.
    """
    named: dict[str, np.ndarray] = {}
    run: list[np.ndarray] = []
    layer = ""

    def close() -> None:
        if len(run) % 4 == 1 and layer:
            named[f"{layer}/bias"] = run.pop(0)
        if len(run) % 4:
            raise InputError(f"{path}: {len(run)} arrays behind {layer or 'nothing'} fit no layer.")
        for place in range(0, len(run), 4):
            norm = f"norm{len(named)}"
            four = zip("gamma beta moving_mean moving_variance".split(), run[place:], strict=False)
            named.update({f"{norm}/{role}": array for role, array in four})
        run.clear()

    for number in range(len(arrays)):
        if f"arr_{number}" not in arrays:
            raise InputError(f"{path} lacks arr_{number}.")
        array = arrays[f"arr_{number}"]
        if array.ndim < 2:
            run.append(array)
            continue
        close()
        layer = f"layer{number}"
        named[f"{layer}/kernel"] = array
    close()
    return named
