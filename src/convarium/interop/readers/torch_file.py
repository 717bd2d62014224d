"""Files of torch.save: looked over, then read, both in the process of `jail.py`.

The pickle is listed first, not run: what it would call is refused by name, before torch, which
takes seconds to import, is there. Then `torch_state.py` has torch.load(weights_only=True) read it.
"""

from __future__ import annotations

import mmap
import pickletools
import zipfile
from pathlib import Path

from convarium.errors import InputError
from convarium.interop.limits import without_limit
from convarium.interop.readers.model import Foreign
from convarium.interop.readers.safe import broken

MAX_PICKLE_BYTES = 64 << 20
MAX_MEMBERS = 100_000
_PICKLES_BEFORE_DATA = 5  # of the old format: magic, protocol, system, the object, storage keys
_ALLOWED_ROOTS = ("torch", "collections")


def is_torch(path: Path, head: bytes) -> bool:
    """A zip file that is no npz, or a pickle of protocol 2 and later."""
    is_pickle = len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5
    return head.startswith(b"PK") or is_pickle or path.suffix in (".pth", ".pt", ".th")


def read_torch(path: Path, budget_bytes: int) -> Foreign:
    """The tensors of a state dict, or of a checkpoint that holds one.

    Raises:
        InputError: code in the pickle, sizes that lie.
        RefusedError: what torch refuses, more than the budget, no state dict.
    """
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if is_zip:
        _check_zip(path, budget_bytes)
    else:
        _check_old(path)
    with without_limit():
        from convarium.interop.readers.torch_state import read_state
    return read_state(path, budget_bytes)


def _check_zip(path: Path, budget_bytes: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members, budget_bytes)
            records = [m for m in members if m.filename.endswith("data.pkl")]
            if len(records) != 1:
                raise InputError(f"{path} is a zip file, but no file of torch.save.")
            _check_pickle(path, archive.read(records[0]), pickles=1)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise broken(path, error) from error


def _check_members(path: Path, members: list[zipfile.ZipInfo], budget_bytes: int) -> None:
    """What the archive says of itself: torch stores, so nothing in it can grow when unpacked."""
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{path} has {len(members)} members; a file of torch.save has fewer.")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{path} is compressed inside, which torch.save never does.")
        if member.filename.endswith("data.pkl") and member.file_size > MAX_PICKLE_BYTES:
            raise InputError(f"{path}: its pickle has {member.file_size} bytes; 64 MiB at most.")
    total = sum(member.file_size for member in members)
    if total > min(budget_bytes, path.stat().st_size):
        raise InputError(
            f"{path}: its members say {total} bytes, the file has {path.stat().st_size}."
        )


def _check_old(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        if whole[:2] != b"\x80\x02":
            raise InputError(f"{path} is no file of torch.save: it begins with {whole[:4]!r}.")
        _check_pickle(path, whole, pickles=_PICKLES_BEFORE_DATA)


def _check_pickle(path: Path, data: bytes | mmap.mmap, *, pickles: int) -> None:
    """Lists the words of the pickles without running one; refuses calls that torch has not."""
    import io

    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        for _ in range(pickles):
            for code, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]
                _check_word(path, code, argument)
            if stream.tell() > MAX_PICKLE_BYTES:
                raise InputError(f"{path}: its pickle is over 64 MiB.")
    except (ValueError, OverflowError, MemoryError, UnicodeDecodeError) as error:
        raise broken(path, error) from error


def _check_word(path: Path, code: pickletools.OpcodeInfo, argument: object) -> None:
    if code.name == "GLOBAL":
        module, _, name = str(argument).partition(" ")
        if module.split(".")[0] not in _ALLOWED_ROOTS:
            raise InputError(
                f"{path} would call {module}.{name} when read: code has no place in a weight file. "
                "If you trust it, save its state dict alone: torch.save(model.state_dict(), ..)."
            )
    elif code.name in ("INST", "OBJ", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"):
        raise InputError(
            f"{path} has the pickle word {code.name}, which can call code; torch.save writes none "
            "with its own pickle_protocol, 2."
        )
    elif code.name in ("PUT", "LONG_BINPUT") and int(str(argument)) > MAX_PICKLE_BYTES:
        raise InputError(f"{path}: its pickle asks for {argument} notes, to fill the memory.")
