"""What this machine is: processor, instruction sets, memory, system and library versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# The ones that decide how fast a convolution runs, in the kernel's spelling.
_INSTRUCTION_SETS = (
    *("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_bf16", "amx_int8", "asimd", "sve", "bf16", "i8mm"),
)
_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "scikit-learn", "safetensors")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, instruction sets, memory in bytes, system, accelerators, versions.

    What cannot be had says "not available: reason".
    """
    import torch

    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "cores_available": available_cores(),
        "instruction_sets": list(_instruction_sets()),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _LIBRARIES},
        "accelerators": [
            torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
        ],
    }


def processor() -> str:
    """The processor's name as the system gives it."""
    name = _cpuinfo().get("model name") or platform.processor() or platform.machine()
    return " ".join(name.split())


def available_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its control group."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, round(int(quota) / int(period))))


def _instruction_sets() -> tuple[str, ...]:
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return tuple(name for name in _INSTRUCTION_SETS if name in flags)


def _cpuinfo() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is no such file."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _memory_bytes() -> int | str:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError) as error:
        return f"not available: {error}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not available: not installed"
