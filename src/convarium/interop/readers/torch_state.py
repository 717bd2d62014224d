"""torch.load and what it gives: runs in the process of `jail.py`, once the pickle is listed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from convarium.errors import times
from convarium.interop.jail import RefusedError
from convarium.interop.readers.model import Foreign

INSIDE = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "params",
    "weights",
    "state_dict_ema",
    "ema_state_dict",
    "model_ema",
    "ema",
)


def read_state(path: Path, budget_bytes: int) -> Foreign:
    """The tensors of the state dict in `path`, in their order.

    Raises:
        RefusedError: what torch refuses, no state dict, sizes that lie, more than the budget.
    """
    torch.set_num_threads(1)
    size = path.stat().st_size
    state = state_dict_in(_loaded(path))
    total = 0
    for key, tensor in state.items():
        if tensor.is_sparse or tensor.is_quantized or tensor.layout != torch.strided:
            raise RefusedError(f"has {key}, which is no plain tensor.")
        needs = tensor.nbytes
        total += needs
        if needs > size or total > budget_bytes:
            raise RefusedError(
                f"says that {key} is {times(tensor.shape)}: more than the file holds."
            )
    tensors = {key: tensor.detach().clone().contiguous() for key, tensor in state.items()}
    return Foreign(tensors, str(path))


def _loaded(path: Path) -> Any:
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    warnings.simplefilter("ignore")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except MemoryError:
        raise
    except Exception as error:  # whatever a file of strangers makes torch raise
        text = " ".join(str(error).split()) or type(error).__name__
        if "can't allocate memory" in text:  # torch's own word for it, a RuntimeError
            raise MemoryError from error
        raise RefusedError(
            f"cannot be read by torch.load(weights_only=True): {text[:200]}"
        ) from error


def state_dict_in(held: Any, depth: int = 0) -> dict[str, Any]:
    """The mapping of names to tensors in what a file holds.

    Raises:
        RefusedError: there is none, or something else stands between the tensors.
    """
    if not isinstance(held, Mapping):
        raise RefusedError(f"holds a {type(held).__name__}, not a state dict.")
    # A tensor may stand beside the state dict, such as the best score so far.
    for word in INSIDE if depth < 3 else ():
        if isinstance(held.get(word), Mapping):
            return state_dict_in(held[word], depth + 1)
    tensors = {key: value for key, value in held.items() if isinstance(value, torch.Tensor)}
    if not tensors and depth < 3:
        raise RefusedError("holds no state dict: no tensor, and no entry that is one.")
    for key, value in held.items():
        if not isinstance(key, str):
            raise RefusedError(f"has the key {key!r:.50}, which is no word.")
        if key not in tensors:
            raise RefusedError(f"has {key}, a {type(value).__name__} between the tensors.")
    if not tensors:
        raise RefusedError("holds no tensor.")
    return tensors
