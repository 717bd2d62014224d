"""How much memory and time the process that reads a weight file may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CPU_SECONDS = 280


def limit_memory(spare_bytes: int) -> None:
    """No more address space than now and `spare_bytes`, no core file; where the system has it."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    now = _address_space()
    if now:
        most = now + spare_bytes
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


@contextmanager
def without_limit() -> Iterator[None]:
    """What is asked for within, such as a library's import, does not count against the limit."""
    try:
        import resource
    except ImportError:
        yield
        return
    most, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    try:
        yield
    finally:
        if most != resource.RLIM_INFINITY:
            most += _address_space() - before
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _address_space() -> int:
    """Bytes of this process's address space, 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 0
    import resource

    return pages * resource.getpagesize()
