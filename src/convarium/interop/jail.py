"""The process that reads torch files: little memory, no code from the file, safetensors out.

Called as `main()` with three words: the file, where to write, and the most bytes of tensors.
Prints one JSON object: the keys in their order, or the error.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
SPARE_BYTES = 256 << 20  # beside four times the file: reading, unfolding, and writing copy it
CPU_SECONDS = 280


class RefusedError(Exception):
    """A sentence without its subject, the file."""


def main() -> None:
    """Reads, checks and writes; leaves one line on stdout and an exit code."""
    path, out, budget = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    try:
        keys = convert(path, out, budget)
    except RefusedError as error:
        answer: dict[str, Any] = {"error": str(error)}
    except MemoryError:
        answer = {"error": "cannot be read in the memory that its size allows."}
    except Exception as error:  # noqa: BLE001 - whatever a file of strangers makes torch raise
        text = " ".join(str(error).split()) or type(error).__name__
        answer = {"error": f"cannot be read by torch.load(weights_only=True): {text[:200]}"}
    else:
        answer = {"keys": keys}
    print(json.dumps(answer))
    sys.exit(1 if "error" in answer else 0)


def convert(path: Path, out: Path, budget_bytes: int) -> list[str]:
    """Writes the state dict in `path` to `out` as safetensors; gives its keys in their order."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    size = path.stat().st_size
    limit_memory(4 * size + SPARE_BYTES)
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    warnings.simplefilter("ignore")
    held = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    state = state_dict_in(held)
    total = 0
    for key, tensor in state.items():
        if tensor.is_sparse or tensor.is_quantized or tensor.layout != torch.strided:
            raise RefusedError(f"has {key}, which is no plain tensor.")
        needs = tensor.numel() * tensor.element_size()
        total += needs
        if needs > size or total > budget_bytes:
            shape = "x".join(map(str, tensor.shape))
            raise RefusedError(f"says that {key} is {shape}: more than the file holds.")
    save_file({key: t.detach().clone().contiguous() for key, t in state.items()}, out)
    return list(state)


def state_dict_in(held: Any, depth: int = 0) -> dict[str, Any]:
    """The mapping of names to tensors in what a file holds.

    Raises:
        RefusedError: there is none, or something else stands between the tensors.
    """
    import torch

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


def limit_memory(spare_bytes: int) -> None:
    """No more address space than now and `spare_bytes`, no core file; where the system has it."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    now = _address_space()
    if now:
        most = now + spare_bytes
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def _address_space() -> int:
    """Bytes of this process's address space, 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 0
    import resource

    return pages * resource.getpagesize()
