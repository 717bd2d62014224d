"""What a killed run leaves half-written is cleared up, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from convarium.bakeoff.folder import tidy

_FOLDERS = ("", "weights", "checkpoints")
_KILLED = """
import resource, signal, sys
import numpy as np
from safetensors.numpy import save_file
from convarium.files import written_whole
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with written_whole(sys.argv[1]) as temporary:
    save_file({"a": np.zeros(1_000_000, "u1")}, temporary)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on a file's size kills the writer")
@pytest.mark.parametrize("folder", _FOLDERS)
def test_what_a_killed_writer_left_is_gone(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(place / "w.safetensors")], check=False
    )
    assert killed.returncode == -signal.SIGXFSZ
    assert len(list(place.iterdir())) >= 1
    tidy(tmp_path)
    assert list(place.iterdir()) == []


def test_other_files_stay(tmp_path: Path) -> None:
    for folder in _FOLDERS:
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in (".lock", ".keep", ".tmp", "a.deadbeef", "w.safetensors"):
            (tmp_path / folder / name).write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    tidy(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
