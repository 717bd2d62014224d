"""`python -m convarium` is the command line; torchrun starts it so."""

from __future__ import annotations

import subprocess
import sys

from convarium import __version__


def test_python_m_convarium() -> None:
    words = [sys.executable, "-m", "convarium"]
    end = subprocess.run([*words, "--version"], capture_output=True, text=True, check=True)
    assert end.stdout == f"convarium {__version__}\n"
    end = subprocess.run([*words, "trian"], capture_output=True, text=True, check=False)
    assert (end.returncode, end.stdout) == (2, "")
