"""Safetensors: the sizes of its header are checked before a byte of a tensor is read."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from convarium.errors import InputError
from convarium.interop.readers.model import Foreign

MAX_HEADER_BYTES = 32 << 20


def is_safetensors(path: Path, head: bytes) -> bool:
    """A header of the length that the first eight bytes say, which is JSON."""
    return path.suffix == ".safetensors" or (len(head) > 8 and head[8:9] == b"{")


def read_safetensors(path: Path, budget_bytes: int) -> Foreign:
    """The tensors of a safetensors file; epsilon and network where convarium wrote them beside.

    Raises:
        InputError: broken, or larger than the budget.
    """
    size = path.stat().st_size
    if size > budget_bytes:
        raise too_large(path, size, budget_bytes)
    header = read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError, RuntimeError, ValueError, TypeError) as error:
        raise broken(path, error) from error
    return Foreign(tensors, str(path), **about_it(path, header))


def about_it(path: Path, header: dict[str, Any]) -> dict[str, Any]:
    """What the words beside the tensors tell: the fields of `About` that they fill.

    Raises:
        InputError: an epsilon that is none.
    """
    about = header.get("__metadata__")
    about = about if isinstance(about, dict) else {}
    # Options of the builder make it another network than its name alone does.
    is_ours = about.get("schema") == "convarium/1" and "options" not in about
    network = about.get("network") if is_ours else None
    return {"norm_eps": _epsilon(path, about), "ordered": False, "network": network}


def read_header(path: Path) -> dict[str, Any]:
    """The JSON at the beginning of the file.

    Raises:
        InputError: it is cut, too long, or no object.
    """
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, path.stat().st_size - 8):
            raise InputError(
                f"{path} is no whole safetensors file: its header says {length} bytes, the file "
                f"has {path.stat().st_size}."
            )
        text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no safetensors file: its header is no JSON.") from error
    if not isinstance(header, dict):
        raise InputError(f"{path} is no safetensors file: its header is no object.")
    return header


def too_large(path: Path, size: int, budget_bytes: int) -> InputError:
    """The error for a file with more in it than the network could use."""
    return InputError(
        f"{path} holds {_mb(size)} MB, far more than this network's weights need "
        f"({_mb(budget_bytes)} MB allowed); it is another network's."
    )


def broken(path: Path, error: BaseException) -> InputError:
    """The error for a file that its library refuses, with the first line of why."""
    text = str(error).strip() or type(error).__name__
    return InputError(f"{path} cannot be read: {text.splitlines()[0].rstrip('.')[:200]}.")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f}" if size < 1e12 else f"{size / 1e6:.1e}"


def _epsilon(path: Path, metadata: dict[str, Any]) -> float | None:
    if "norm_eps" not in metadata:
        return None
    try:
        value = float(metadata["norm_eps"])
    except (TypeError, ValueError):
        value = -1.0
    if not 0 <= value < 1:
        raise InputError(f"{path}: norm_eps is {metadata['norm_eps']!r}, not a number in [0, 1).")
    return value
