"""Memory that is kept between steps, and given back."""

from __future__ import annotations

import platform
import resource

import pytest
import torch

from convarium.machine import freed_memory_kept
from convarium.machine import memory as memory_of

GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
BLOCKS, SIZE = 12, 10 << 20  # bytes of a block; together more than what glibc keeps by itself
PAGES = BLOCKS * SIZE // resource.getpagesize()


def _faults() -> int:
    """Pages that the kernel hands out while blocks are filled; they are freed behind it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(SIZE, dtype=torch.uint8) for _ in range(BLOCKS)]
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@GLIBC
def test_what_was_freed_is_taken_again() -> None:
    with freed_memory_kept():
        _faults()
        assert _faults() < PAGES / 4


@GLIBC
def test_behind_the_block_the_system_has_it_back() -> None:
    with freed_memory_kept():
        _faults()
        held = _resident()
    assert held - _resident() > BLOCKS * SIZE / 2


def test_another_c_library_is_left_alone(monkeypatch) -> None:
    def loads(name: object) -> None:
        raise AssertionError("no library is to be loaded")

    monkeypatch.setattr(memory_of.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory_of.ctypes, "CDLL", loads)
    with freed_memory_kept():
        pass
