"""Memory: its peak over a block, from the kernel's or the GPU's own mark; kept, or given back."""

from __future__ import annotations

import ctypes
import gc
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import torch

_PROC = Path("/proc/self")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h: what mallopt sets
# Bytes where glibc's own adjusting of these ends: mallopt(3), M_MMAP_THRESHOLD.
_TRIM_AT, _MMAP_FROM = 64 << 20, 32 << 20


class PeakMemory:
    """Use as `with PeakMemory() as peak: ...`; then `peak.bytes` is the peak above the start.

    On the processor it is resident memory: `bytes` is None where the kernel does not tell, and
    `reason` says why. The mark counts the whole process, all threads; pages freed before the block
    and used again within are not seen. On a GPU it is what torch's allocator has handed out.

    Args:
        proc: where the kernel tells of this process.
        device: "cpu", "cuda" or "cuda:N".
    """

    def __init__(self, proc: Path = _PROC, *, device: str = "cpu") -> None:
        self.bytes: int | None = None
        self.reason = "not measured yet"
        self._proc, self._device = proc, device
        self._start = 0

    def __enter__(self) -> PeakMemory:
        gc.collect()
        if self._device != "cpu":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._start = torch.cuda.memory_allocated(self._device)
            return self
        try:
            # "5" sets the high-water mark back to what is resident now (proc(5), clear_refs).
            (self._proc / "clear_refs").write_text("5")
            self._start = self._status("VmRSS")
        except (OSError, KeyError) as error:
            self.reason = f"the kernel's high-water mark cannot be reset: {error}"
            self._start = -1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._device != "cpu":
            most = torch.cuda.max_memory_allocated(self._device)
            self.bytes, self.reason = most - self._start, ""
        elif self._start >= 0:
            self.bytes, self.reason = max(0, self._status("VmHWM") - self._start), ""

    def _status(self, key: str) -> int:
        lines = (self._proc / "status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(fields[key].split()[0]) * 1024


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within, glibc keeps what is freed for what is asked for next; then gives it back.

    Otherwise it gives the end of its heap back whenever that is free, and the kernel clears the
    pages anew. Maps are still made for what is larger than 32 MiB and finds no room: without them
    a heap can grow for ever, as glibc's aligned blocks do not fit where one of their size was.
    This holds for the whole process. Other C libraries are left as they are.
    """
    libc = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
    if libc is None:
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _MMAP_FROM)
    libc.mallopt(_TRIM_THRESHOLD, -1)  # never
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, _TRIM_AT)
        give_back()


def give_back() -> None:
    """Gives freed memory back to the system where the C library can, so that its use is seen."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library keeps it
        ctypes.CDLL(None).malloc_trim(0)
