"""Networks of strangers and ours get their first values quickly: only their way is tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from convarium.interop.jail import named
from convarium.interop.readers import Foreign, apart
from convarium.interop.readers.model import About, Arrays
from quick_values import quick_values

_read_apart = apart.read_apart


@pytest.fixture(autouse=True)
def _quick_values() -> Iterator[None]:
    with quick_values():
        yield


@pytest.fixture
def own_process() -> None:
    """For tests whose files are read as users' are: in a process of their own."""


@pytest.fixture(autouse=True)
def _readread_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read in this process, which is quicker, where names and layouts are tested.

    Those of torch.save always go their own way.
    """
    if "own_process" not in request.fixturenames:
        monkeypatch.setattr(apart, "read_apart", read_here)


def read_here(reader: str, path: Path, budget_bytes: int, memory_bytes: int) -> Foreign:
    if reader.endswith(":read_torch"):
        return _read_apart(reader, path, budget_bytes, memory_bytes)
    held = named(reader)(path, budget_bytes)
    assert isinstance(held, Arrays)
    tensors = {key: torch.from_numpy(array.copy()) for key, array in held.arrays.items()}
    about = {name: getattr(held, name) for name in About.__dataclass_fields__}
    return Foreign(tensors, str(path), **about)
