"""A process of the tests' own that loads torch once and is then asked many times."""

from __future__ import annotations

import os
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
