"""Readers that go wrong, each in a way of its own; run by the process that reads weight files."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from convarium.interop.jail import RefusedError
from convarium.interop.readers.model import Arrays

ASKED_BYTES = 1 << 30


def asks_for_memory(path: Path, budget_bytes: int) -> Arrays:
    return Arrays({"a.weight": np.ones(ASKED_BYTES, np.uint8)[:1]})


def aborts(path: Path, budget_bytes: int) -> Arrays:
    os.abort()


def leaves(path: Path, budget_bytes: int) -> Arrays:
    os._exit(7)


def hangs(path: Path, budget_bytes: int) -> Arrays:
    while True:
        time.sleep(1)


def gives_too_much(path: Path, budget_bytes: int) -> Arrays:
    return Arrays({"a.weight": np.ones(budget_bytes // 4 + 1, "f4")})


def talks(path: Path, budget_bytes: int) -> Arrays:
    """A hundred megabytes on stdout."""
    for _ in range(100):
        os.write(1, bytes(1 << 20))
    sys.exit(1)


def lacks_torch(path: Path, budget_bytes: int) -> Arrays:
    if "torch" in sys.modules:
        raise RefusedError("is read beside torch.")
    return Arrays({"a.weight": np.ones(1, "f4")})
