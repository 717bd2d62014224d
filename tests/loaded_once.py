"""A process of the tests' own that loads torch once and is then asked many times."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def loaded_once(module: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m module`, asked over its standard input; its input is closed at the end."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    ) as started:
        yield started
        assert started.stdin is not None
        started.stdin.close()


def give_up_rights() -> None:
    """From here a file's mode binds root, too: no capability is left (Linux, version 3 of it)."""
    system = ctypes.CDLL(None, use_errno=True)
    if system.capset(struct.pack("=Ii", 0x20080522, 0), bytes(24)):
        raise OSError(ctypes.get_errno(), "capset")


def full_disk_from(count: int) -> None:
    """Every write that must reach the disk fails from the `count`th on."""
    real, seen = os.fsync, [0]

    def fsync(handle: int) -> None:
        seen[0] += 1
        if seen[0] >= count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    os.fsync = fsync
