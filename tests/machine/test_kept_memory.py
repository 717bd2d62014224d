"""Memory that is kept between steps, and given back."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

from convarium.machine import freed_memory_kept
from convarium.machine import memory as memory_of

MEGABYTES = 120  # of twelve blocks; together more than what glibc keeps by itself
MEASURE = """
import json, resource, torch
from convarium.machine import freed_memory_kept

page = resource.getpagesize()

def handed_out():
    "Megabytes that the kernel hands out while blocks are filled; they are freed behind it."
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(10 << 20, dtype=torch.uint8) for _ in range(12)]
    del blocks
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * page >> 20

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * page >> 20

with freed_memory_kept():
    handed_out()
    handed_out()  # a block may fall beside the first ones; by now all have their place
    found = [handed_out(), resident()]
print(json.dumps([*found, resident()]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_what_was_freed_is_taken_again_and_given_back_at_the_end() -> None:
    """In a process of its own: what earlier tests freed would serve the blocks, too."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    )
    last, held, left = json.loads(done.stdout)
    assert last < MEGABYTES / 4
    assert held - left > MEGABYTES / 2


def test_another_c_library_is_left_alone(monkeypatch) -> None:
    def loads(name: object) -> None:
        raise AssertionError("no library is to be loaded")

    monkeypatch.setattr(memory_of.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory_of.ctypes, "CDLL", loads)
    with freed_memory_kept():
        pass
