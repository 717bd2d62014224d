"""Two hundred decompression bombs in a row, in a process of their own, against its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from data.hostile.bad import bombs, too_big

_OPEN_ALL = """
import resource, sys
from pathlib import Path
from convarium.data.pictures import BadPicturesError, decode, read_header, strict_pillow

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

files = sorted(Path(sys.argv[1]).iterdir())
before, refused = peak(), 0
with strict_pillow():
    for at in range(200):
        for door in (read_header, lambda path: decode(path, 224, 3)):
            try:
                door(files[at % len(files)])
            except BadPicturesError:
                refused += 1
print(refused, peak() - before)
"""


@pytest.mark.slow
def test_two_hundred_bombs_take_less_than_100_megabytes(tmp_path: Path) -> None:
    kinds = [*too_big(), *bombs()]
    for kind in kinds:
        kind.write(tmp_path / str(kind.name))
    run = [sys.executable, "-c", _OPEN_ALL, str(tmp_path)]
    told = subprocess.run(run, capture_output=True, text=True, check=True, timeout=120).stdout
    refused, megabytes = map(float, told.split())
    assert refused >= 200  # a bomb in a chunk or in scans is found on decoding, not by its header
    assert megabytes < 100
