"""Energy from the machine's own counters: RAPL for processors, NVML for NVIDIA's GPUs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")
# Of one thing that is repeated: a GPU brings its counter up to date ten times a second or so.
LEAST_PASSES, LEAST_SECONDS = 20, 1.0


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
    """The sum of the counters of what computes; `reason` says why there are none.

    Args:
        powercap: where the kernel has RAPL's counters.
        device: "cpu" counts the processor, with its memory; "cuda:N" counts that GPU alone, since
            the processor beside it can often not be counted.
    """

    def __init__(self, powercap: Path = POWERCAP, *, device: str = "cpu") -> None:
        self.sources, self.reason = (
            _rapl_domains(powercap) if device == "cpu" else _nvml_device(device)
        )

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
        except (OSError, ValueError) as error:
            used.reason = f"not available: {error}"
            yield used
            return
        yield used
        try:
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
        """Joules since opening; a smaller reading than the last means one turn of the counter.

        Raises:
            OSError, ValueError: it cannot be read, or fell from where no turn begins.
        """
        now = self._read()
        if now < self._last:
            if self._last > self._range:
                raise ValueError(f"{self._file} fell from {self._last} to {now} microjoules")
            self._total += self._range
        self._total += now - self._last
        self._last = now
        return self._total / 1e6

    def _read(self) -> int:
        return int(self._file.read_text())


class _NvmlDevice:
    """One NVIDIA device; its counter starts at the driver's load and does not wrap."""

    def __init__(self, nvml: Any, uuid: str) -> None:
        self._nvml = nvml
        self._device = nvml.nvmlDeviceGetHandleByUUID(uuid)
        self.name = f"NVML {uuid}"
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
        except OSError as error:
            return [], f"not available: {error.filename or folder}: {error.strerror or error}"
        except ValueError as error:
            return [], f"not available: {folder}: {error}"
    return domains, ""


def _is_counted(folder: Path) -> bool:
    try:
        name = (folder / "name").read_text().strip()
    except (OSError, ValueError):  # without a name, or one that is no text
        return False
    return name.startswith("package-") or name == "dram"


def _nvml_device(device: str) -> tuple[list[_Source], str]:
    """The GPU that torch calls so. NVML numbers all GPUs, torch those that it is shown."""
    import torch

    try:
        import pynvml
    except ImportError:
        return (
            [],
            "not available: NVML cannot be asked without nvidia-ml-py (pip install nvidia-ml-py)",
        )
    try:
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        return [_NvmlDevice(pynvml, uuid)], ""
    except pynvml.NVMLError as error:
        return [], f"not available: NVML: {error}"


def joules_per_pass(run: Callable[[], object], counter: Counter) -> tuple[float | None, str]:
    """Joules of one call of `run`, a mean over a second at least; None and the reason without.

    Args:
        run: does the same work every time, and returns when it is done.
        counter: of what does the work.
    """
    if not counter.sources:
        return None, counter.reason
    run()
    passes, begin = 0, time.perf_counter()
    with counter.measure() as energy:
        while passes < LEAST_PASSES or time.perf_counter() - begin < LEAST_SECONDS:
            run()
            passes += 1
    if energy.joules == 0:  # as in virtual machines that show the counter and no more
        return (
            None,
            f"not available: {' and '.join(energy.sources)} stood still for {passes} passes",
        )
    return (None if energy.joules is None else energy.joules / passes), energy.reason
