"""Fixed seeds, few threads, and where real data of others lie."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

os.environ.setdefault("OMP_NUM_THREADS", "2")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module", autouse=True)
def _old_objects_rest() -> None:
    """What is loaded by now stays: no later collection walks it again, which takes 0.2 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    """The CPU's generator alone: `torch.manual_seed` also queues a call for each absent device."""
    torch.default_generator.manual_seed(0)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new name each time. `mktemp` would read the whole base folder to number the next one."""
    base = tmp_path_factory.mktemp("homes")
    return (base / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own records and choices."""
    home = next(homes)
    home.mkdir()
    monkeypatch.setenv("CONVARIUM_HOME", str(home))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what is marked `gpu` where torch can use none."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data and weights of others; skips where it is missing."""
    folder = Path(os.environ.get("CONVARIUM_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set CONVARIUM_TEST_DATA")
    return folder
