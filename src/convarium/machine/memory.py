"""Peak resident memory of a block, from the kernel's own high-water mark."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_PROC = Path("/proc/self")


class PeakMemory:
    """Use as `with PeakMemory() as peak: ...`; then `peak.bytes` is the peak above the start.

    `bytes` is None where the kernel does not tell, and `reason` says why. The mark counts the
    whole process, all threads; pages freed before the block and used again within are not seen.
    """

    def __init__(self, proc: Path = _PROC) -> None:
        self.bytes: int | None = None
        self.reason = "not measured yet"
        self._proc = proc
        self._start = 0

    def __enter__(self) -> PeakMemory:
        gc.collect()
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
        if self._start >= 0:
            self.bytes, self.reason = max(0, self._status("VmHWM") - self._start), ""

    def _status(self, key: str) -> int:
        lines = (self._proc / "status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(fields[key].split()[0]) * 1024


def give_back() -> None:
    """Gives freed memory back to the system where the C library can, so that its use is seen."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library keeps it
        ctypes.CDLL(None).malloc_trim(0)
