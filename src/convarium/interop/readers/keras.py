"""Arrays of Keras in an .npz: kernels HWIO, dense (in, out), maps with their channels last.

`keras_words` reads the names. Arrays that are only numbered, arr_0, arr_1 .. as
`numpy.savez(path, *model.get_weights())` writes them, are taken in that order.
"""

from __future__ import annotations

import re
import zipfile
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from convarium.errors import InputError, times
from convarium.interop.readers.keras_words import COUNTED, layers_and_roles, only_trains
from convarium.interop.readers.model import Arrays
from convarium.interop.readers.safe import broken, too_large

Part = tuple[tuple[str, str], np.ndarray]  # (layer, role), array
MAX_ARRAYS = 20_000
MAX_RATIO = 200  # of unpacked to packed bytes, where it matters
WORTH_ASKING_BYTES = 16 << 20
_NORM = ("weight", "bias", "running_mean", "running_var")
_NUMBERED = re.compile(r"(\D*)(\d+)")


def is_npz(path: Path, head: bytes) -> bool:
    """A zip file of .npy members, by its ending or its first member.

    The list of members at its end, which may be long, is left to the process that reads it.
    """
    if not head.startswith(b"PK"):
        return False
    length = int.from_bytes(head[26:28], "little")  # of the first member's name
    return path.suffix == ".npz" or head[30 : 30 + length].endswith(b".npy")


def read_keras(path: Path, budget_bytes: int) -> Arrays:
    """The arrays of an .npz in PyTorch's layouts, under Keras's names of the layers.

    Raises:
        InputError: objects, sizes that lie, more than the budget, names of no Keras layer.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members, budget_bytes)
            named = {m.filename.removesuffix(".npy"): m for m in members}
            arrays = {
                name: _array(path, archive, member)
                for name, member in named.items()
                if not only_trains(name)
            }
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise broken(path, error) from error
    except (ValueError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise broken(path, error) from error
    numbered = _by_number(path, arrays)
    parts = numbered or _by_name(path, arrays)
    turned: dict[str, np.ndarray] = {}
    for (layer, role), array in parts:
        key, whole = _as_torch(path, layer, role, array)
        if key in turned:
            raise InputError(f"{path} has {key} twice.")
        turned[key] = whole
    # In the order of the alphabet the tenth layer stands before the second: count them instead.
    ordered = bool(numbered) or list(arrays) != sorted(arrays)
    return Arrays(turned, ecosystem="keras", maps_last=True, ordered=ordered)


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
            says = times(shape)
            raise InputError(
                f"{path}: {member.filename} says {says}, but has {member.file_size} bytes."
            )
        data = file.read(needs)
    if len(data) != needs:
        raise InputError(f"{path}: {member.filename} is cut at {len(data)} of {needs} bytes.")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")
    return np.ascontiguousarray(array, dtype.newbyteorder("="))


def _by_name(path: Path, arrays: dict[str, np.ndarray]) -> list[Part]:
    """Layer and role of each array as its name says."""
    read = layers_and_roles(arrays)
    parts: list[Part] = []
    counted: dict[str, list[np.ndarray]] = {}
    for name, array in arrays.items():
        found = read[name]
        if found is None:
            raise InputError(
                f"{path}: {name} is no array of a Keras layer (kernel, bias, gamma ..)."
            )
        if found[1].startswith(COUNTED):
            counted.setdefault(found[0], []).append(array)
            if found[1] != f"{COUNTED}{len(counted[found[0]]) - 1}":
                raise InputError(f"{path}: the arrays of {found[0]} are not counted 0, 1, 2 ..")
            continue
        parts.append((found, array))
    for layer, several in counted.items():
        parts += _counted(path, layer, several)
    return parts


def _counted(path: Path, layer: str, arrays: list[np.ndarray]) -> list[Part]:
    """A layer of Keras 3's .weights.h5, whose arrays are counted: a norm has four, all flat."""
    flat = [array.ndim == 1 for array in arrays]
    if flat == [True] * 4:
        return [((layer, role), array) for role, array in zip(_NORM, arrays, strict=True)]
    if flat in ([False], [False, True]):
        first = "depthwise" if "depthwise" in layer else "weight"
        return [
            ((layer, role), array) for role, array in zip((first, "bias"), arrays, strict=False)
        ]
    raise InputError(f"{path}: {layer} has {len(arrays)} arrays that fit no layer known here.")


def _as_torch(path: Path, layer: str, role: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """The key and the array in PyTorch's layout."""
    if role == "depthwise":
        if array.ndim != 4:
            raise InputError(f"{path}: the depthwise kernel of {layer} has {array.ndim} sides.")
        height, width, channels, times = array.shape
        turned = array.transpose(2, 3, 0, 1).reshape(channels * times, 1, height, width)
        return f"{layer}.weight", np.ascontiguousarray(turned)
    turned = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
    turned = array.T if array.ndim == 2 else turned
    return f"{layer}.{role}", np.ascontiguousarray(turned)


def _by_number(path: Path, arrays: dict[str, np.ndarray]) -> list[Part]:
    """Layers and roles of arrays that have only numbers, in the order of model.get_weights().

    An array of two sides or more opens a layer; a bias may follow it, and batch norms of four
    arrays each (gamma, beta, mean, variance) stand between. Empty where the arrays have names.
    """
    found = [_NUMBERED.fullmatch(name) for name in arrays]
    if not all(found) or len({match[1] for match in found if match}) != 1:
        return []
    by_number = {
        int(match[2]): array for match, array in zip(found, arrays.values(), strict=True) if match
    }
    start = min(by_number)
    lacking = [n for n in range(start, start + len(arrays)) if n not in by_number]
    if start > 1 or lacking:
        raise InputError(f"{path} lacks number {lacking[0] if lacking else 0} of its arrays.")
    return _in_order(path, [by_number[number] for number in sorted(by_number)])


def _in_order(path: Path, arrays: list[np.ndarray]) -> list[Part]:
    parts: list[Part] = []
    run: list[np.ndarray] = []
    layer = ""

    def close() -> None:
        if len(run) % 4 == 1 and layer:
            parts.append(((layer, "bias"), run.pop(0)))
        if len(run) % 4:
            raise InputError(f"{path}: {len(run)} arrays behind {layer or 'nothing'} fit no layer.")
        for place in range(0, len(run), 4):
            norm = f"norm{len(parts)}"
            four = zip(_NORM, run[place : place + 4], strict=True)
            parts.extend(((norm, role), array) for role, array in four)
        run.clear()

    for number, array in enumerate(arrays):
        if array.ndim < 2:
            run.append(array)
            continue
        close()
        layer = f"layer{number}"
        parts.append(((layer, "weight"), array))
    close()
    return parts
