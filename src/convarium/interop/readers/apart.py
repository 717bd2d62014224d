"""Reading a weight file in a process of its own (`jail.py`), which may ask for little memory.

What it hands back is safetensors and words, checked here as if they came from a stranger.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convarium.errors import ExhaustedError, InputError
from convarium.interop.readers.model import Foreign, Said
from convarium.interop.readers.safe import MAX_HEADER_BYTES, read_safetensors, too_large

SECONDS = 300
MAX_ANSWER_BYTES = 64 << 20
SPARE_BYTES = 64 << 20
TORCH_SPARE_BYTES = 256 << 20
_CODE = "from convarium.interop.jail import main; main()"

# The most memory that a reading may ask for after its imports, from the file's size and the most
# bytes that its tensors may need. The reader's own checks are the first fence, this is the second.
Memory = Callable[[int, int], int]


def as_stored(size: int, budget_bytes: int) -> int:
    """For formats in which nothing unfolds: .caffemodel.

    The file is mapped (1) and its arrays are copied out (1); a large one that grows piece by piece
    may be moved, and then stands there twice (2); numbers that are not packed come in fields
    of five bytes for four, which are listed first. The rest is what the allocator keeps.
    """
    return 6 * size + SPARE_BYTES


def unfolded(size: int, budget_bytes: int) -> int:
    """For .npz, which may be compressed, and codebooks, which are written out.

    The budget has 16 bytes for each number of the network and 1 GiB: four times what unfolded
    float32 needs, for arrays as they are, turned, and a large one at work. Beside them stand the
    file's own bytes and, where little is saved, copies of its parts.
    """
    return budget_bytes + 4 * size + SPARE_BYTES


def of_torch(size: int, budget_bytes: int) -> int:
    """For torch.save, which compresses nothing: reading, unpickling, and writing copy the file."""
    return 4 * size + TORCH_SPARE_BYTES


def apart(reader: str, memory: Memory) -> Callable[[Path, int], Foreign]:
    """A reader, "module:function", as one that runs in a process of its own."""

    def read(path: Path, budget_bytes: int) -> Foreign:
        size = path.stat().st_size
        if size > budget_bytes:
            raise too_large(path, size, budget_bytes)
        return read_apart(reader, path, budget_bytes, memory(size, budget_bytes))

    return read


def read_apart(reader: str, path: Path, budget_bytes: int, memory_bytes: int) -> Foreign:
    """What `reader` makes of the file in a process of its own.

    Raises:
        InputError: the reader's sentence, or: out of memory, out of time, ended by a signal.
        ExhaustedError: no process can be started.
    """
    whole = os.path.abspath(path)
    with tempfile.TemporaryDirectory(prefix="convarium-") as folder:
        out, said = Path(folder) / "weights.safetensors", Path(folder) / "answer"
        words = [reader, whole, str(out), str(budget_bytes), str(memory_bytes)]
        try:
            # Into a file: what a pipe brings would lie in this process, however much it is.
            with said.open("wb") as answer:
                code = _run(words, folder, answer)
        except subprocess.TimeoutExpired:
            raise InputError(f"{path} was not read within {SECONDS} seconds.") from None
        except OSError as error:
            raise ExhaustedError(
                f"{path} is read by a process of its own, which cannot start: {error.strerror}."
            ) from error
        told = _told(said)
        if code != 0 or not out.is_file():
            reason = told.get("error")
            if isinstance(reason, str):
                raise InputError(reason.replace(whole, str(path)))
            raise InputError(f"{path} {_reason(code, told, memory_bytes)}")
        return _foreign(path, out, told, budget_bytes)


def _run(words: list[str], folder: str, answer: Any) -> int:
    """The exit code of the process, negative for the signal that ended it."""
    package = Path(__file__).resolve().parents[3]
    paths = [str(package), os.environ.get("PYTHONPATH", "")]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {
        **os.environ,
        **one_thread,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "CUDA_VISIBLE_DEVICES": "",
    }
    # In the empty folder: Python looks for modules where it stands, and a stranger's may lie there.
    return subprocess.run(
        [sys.executable, "-c", _CODE, *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=answer,
        stderr=subprocess.DEVNULL,
        timeout=SECONDS,
        check=False,
    ).returncode


def _told(said: Path) -> dict[str, Any]:
    """The object in the last line of the answer; empty where there is none."""
    if said.stat().st_size > MAX_ANSWER_BYTES:
        return {}
    try:
        told = json.loads(said.read_bytes().splitlines()[-1])
    except (IndexError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _reason(code: int, told: dict[str, Any], memory_bytes: int) -> str:
    """What an end without the reader's own sentence means."""
    if told.get("memory") or -code == getattr(signal, "SIGKILL", 0):
        return (
            f"cannot be read in {memory_bytes / 1e6:,.0f} MB of memory, more than a file of its "
            "size needs."
        )
    if -code == getattr(signal, "SIGXCPU", 0):
        return f"was not read within {SECONDS} seconds."
    how = f"exit code {code}"
    if code < 0:
        how = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    return f"cannot be read: the process that read it ended with {how}; the file must be broken."


def _foreign(path: Path, out: Path, told: dict[str, Any], budget_bytes: int) -> Foreign:
    """The tensors in `out` and what else was told, once both are what they should be."""
    held = read_safetensors(out, budget_bytes + MAX_HEADER_BYTES).tensors
    total = sum(tensor.nbytes for tensor in held.values())
    if total > budget_bytes:
        raise too_large(path, total, budget_bytes)
    about = told["about"]
    about["notes"] = tuple(about["notes"])
    about["said"] = tuple(Said(**said) for said in about["said"])
    # Cloned: the file below the tensors goes away with its folder.
    tensors = {key: held[key].clone() for key in told["keys"]}
    return Foreign(tensors, str(path), **about)
