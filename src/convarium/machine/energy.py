"""Energy from the machine's own counters: RAPL for processors, NVML for NVIDIA's accelerators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")


@dataclass(slots=True)
class Energy:
    """What a block drew. `joules` is None where no counter could be read; `reason` says why."""

    joules: float | None
    reason: str = ""
    sources: tuple[str, ...] = ()


class _Source(Protocol):
    name: str

    def joules(self) -> float:
        """Joules since the source was opened."""


class Counter:
    """The sum of all energy counters that can be read; `reason` says why there are none."""

    def __init__(self, powercap: Path = POWERCAP, *, with_nvml: bool = True) -> None:
        self.sources, self.reason = _rapl_domains(powercap)
        if with_nvml:
            self.sources += _nvml_devices()
        if self.sources:
            self.reason = ""

    @contextmanager
    def measure(self) -> Iterator[Energy]:
        """Yields an `Energy` whose joules are filled in when the block ends.

        A RAPL counter that wraps around more than once within (some ten minutes and more under
        full load) cannot be told from one that wraps once: measure shorter blocks.
        """
        names = tuple(source.name for source in self.sources)
        used = Energy(None, self.reason or "the block did not end", names)
        if not self.sources:
            yield used
            return
        try:
            before = self._joules()
            yield used
            used.joules, used.reason = self._joules() - before, ""
        except (OSError, ValueError) as error:
            used.reason = f"not available: {error}"

    def _joules(self) -> float:
        return sum(source.joules() for source in self.sources)


class _RaplDomain:
    """One package (or its memory) under /sys/class/powercap, in microjoules, wrapping around."""

    def __init__(self, folder: Path) -> None:
        self.name = f"RAPL {(folder / 'name').read_text().strip()}"
        self._file = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text())
        self._last = self._read()
        self._total = 0

    def joules(self) -> float:
        """Joules since opening; a smaller reading than the last means one turn of the counter."""
        now = self._read()
        step = now - self._last
        self._total += step if step >= 0 else step + self._range
        self._last = now
        return self._total / 1e6

    def _read(self) -> int:
        return int(self._file.read_text())


class _NvmlDevice:
    """One NVIDIA device; its counter starts at the driver's load and does not wrap."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._device = nvml.nvmlDeviceGetHandleByIndex(index)
        self.name = f"NVML device {index}"
        self._first = self._millijoules()

    def joules(self) -> float:
        return (self._millijoules() - self._first) / 1e3

    def _millijoules(self) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._device))


def _rapl_domains(powercap: Path) -> tuple[list[_Source], str]:
    """Packages, and the memory beside them; parts of a package would count twice."""
    if not powercap.is_dir():
        return [], f"not available: no RAPL counters ({powercap} is missing)"
    folders = [f for f in sorted(powercap.glob("intel-rapl:*")) if _is_counted(f)]
    if not folders:
        return [], f"not available: no RAPL package under {powercap}"
    domains: list[_Source] = []
    for folder in folders:
        try:
            domains.append(_RaplDomain(folder))
        except PermissionError:
            return [], f"not available: no right to read {folder / 'energy_uj'}"
        except (OSError, ValueError) as error:
            return [], f"not available: {folder}: {error}"
    return domains, ""


def _is_counted(folder: Path) -> bool:
    try:
        name = (folder / "name").read_text().strip()
    except OSError:
        return False
    return name.startswith("package-") or name == "dram"


def _nvml_devices() -> list[_Source]:
    try:
        import pynvml
    except ImportError:
        return []
    devices: list[_Source] = []
    # Without a driver or a counter there is no device to count; RAPL's reason stands.
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        devices = [_NvmlDevice(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    return devices
