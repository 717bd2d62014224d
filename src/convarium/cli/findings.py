"""What `convarium doctor` looks at. Each check gives findings and changes nothing."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from convarium import __version__
from convarium.files import expanded, home
from convarium.records.health import Health

GIGABYTE = 1_000_000_000
LITTLE_DISK, NO_DISK = 2 * GIGABYTE, GIGABYTE // 10
LITTLE_MEMORY = 2 * GIGABYTE
_BELOW = re.compile(r"python_version\s*<\s*['\"]([0-9]+)\.([0-9]+)['\"]")
_NEED = re.compile(r"^([A-Za-z0-9_.-]+)\s*(?:>=\s*([0-9.]+))?[^;]*(?:;.*extra == ['\"](\w+)['\"])?")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `state` is "ok", "note" or "problem"; `mend` is the way out, or ""."""

    what: str
    state: str
    said: str
    mend: str = ""


def check_python() -> Iterator[Finding]:
    """Python and this program."""
    told = f"{platform.python_version()} ({sys.executable}), {platform.platform()}"
    yield Finding("python", "ok", told)
    yield Finding("convarium", "ok", __version__)


def _of_this_python(need: str) -> bool:
    """False where the need is one of older Pythons alone.

    >>> _of_this_python('tomli>=2; python_version < "3.0"'), _of_this_python("rich>=13.7")
    (False, True)
    """
    found = _BELOW.search(need)
    return found is None or sys.version_info < (int(found[1]), int(found[2]))


def check_libraries(needs: list[str] | None = None) -> Iterator[Finding]:
    """Each library that convarium needs, and whether the optional ones are there.

    Args:
        needs: as a package's metadata lists them; convarium's own when None.
    """
    if needs is None:
        try:
            needs = requires("convarium") or []
        except PackageNotFoundError:
            mend = "pip install -e . in its folder"
            yield Finding("libraries", "note", "convarium runs without being installed", mend)
            needs = ["torch", "torchvision", "numpy"]
    missing: dict[str, list[str]] = {}
    for need in needs:
        found = _NEED.match(need)
        if found is None or not _of_this_python(need):
            continue
        name, floor, extra = found.groups()
        have = _installed(name)
        if extra is None:
            yield _library(name, floor, have)
        else:
            missing.setdefault(extra, []).extend([] if have else [name])
    for extra, names in sorted(missing.items()):
        if names:
            mend = f"pip install 'convarium[{extra}]'"
            yield Finding(f"extra {extra}", "note", f"not installed: {', '.join(names)}", mend)
        else:
            yield Finding(f"extra {extra}", "ok", "installed")


def check_machine() -> Iterator[Finding]:
    """Processor, threads, instruction sets, accelerators, energy counters, memory, load."""
    try:
        import torch

        from convarium.machine import describe_machine
    except ImportError as error:
        yield Finding("machine", "problem", f"torch cannot be imported: {error}")
        return
    machine = describe_machine()
    cores = machine["cores_available"]
    yield Finding("processor", "ok", f"{machine['processor']}, {cores} cores for this process")
    yield from _threads(torch.get_num_threads(), cores)
    sets = ", ".join(machine["instruction_sets"])
    yield Finding("instruction sets", "ok" if sets else "note", sets or "not available: not told")
    chips = ", ".join(machine["accelerators"])
    yield Finding("accelerator", "ok" if chips else "note", chips or "none that torch can use")
    for device in ("cpu", "cuda") if chips else ("cpu",):
        yield _counters(device)
    yield _memory(machine["memory_bytes"])
    yield from _load(cores)


def _counters(device: str) -> Finding:
    """The energy counters of the processor, or of the GPU that torch takes first."""
    from convarium.machine import Counter

    counter = Counter(device=device)
    names = ", ".join(source.name for source in counter.sources)
    mend = ""
    if "no right" in counter.reason:
        mend = "sudo chmod -R a+r /sys/class/powercap/intel-rapl"
    elif "pip install" in counter.reason:
        mend = "pip install nvidia-ml-py"
    return Finding("energy counters", "ok" if names else "note", names or counter.reason, mend)


def check_disk(here: Path, own: Path) -> Iterator[Finding]:
    """Free space in the working folder and in the home folder."""
    for what, folder in (("disk here", here), ("disk at home", own)):
        places = (folder, *folder.absolute().parents)
        there = next(path for path in places if os.path.isdir(path))  # a Path raises without rights
        free = shutil.disk_usage(there).free
        state = "problem" if free < NO_DISK else "note" if free < LITTLE_DISK else "ok"
        mend = "" if state == "ok" else "free some space, or choose another --out"
        yield Finding(what, state, f"{free / GIGABYTE:.1f} GB free at {there}", mend)


def check_home(folder: Path) -> Iterator[Finding]:
    """Whether the home folder can be written, and what the speed probe has kept there."""
    mend = "give yourself the right to write there, or set CONVARIUM_HOME to another folder"
    there = next((path for path in (folder, *folder.parents) if os.path.exists(path)), folder)
    if not there.is_dir():
        yield Finding("home", "problem", f"{there} is no folder", mend)
    elif not os.access(there, os.W_OK | os.X_OK):
        yield Finding("home", "problem", f"{there} cannot be written", mend)
    elif there != folder:
        yield Finding("home", "ok", f"{folder}, made by the first run")
    elif os.name == "posix" and folder.stat().st_mode & stat.S_IWOTH:
        said = f"everybody may write in {folder}, and so change the records"
        yield Finding("home", "note", said, f"chmod o-w {folder}")
    else:
        yield Finding("home", "ok", str(folder))
    yield _probe(folder / "probe.json")


def check_database(health: Health, folder: Path) -> Iterator[Finding]:
    """The records: the database's own check, runs that it misses, torn lines of logs."""
    where, mend = f"{folder}", "convarium doctor --repair"
    counted = f"{health.runs} runs, {health.results} results, {health.logs} logs at {where}"
    if health.locked:
        said = "locked by another program; compare reads the logs meanwhile"
        yield Finding("database", "problem", said, f"end that program, or {mend}")
    elif health.fault:
        yield Finding("database", "problem", f"damaged: {health.fault}", mend)
    elif not health.exists and health.logs:
        said = f"missing, and there are {health.logs} logs to build it from"
        yield Finding("database", "problem", said, mend)
    elif not health.exists:
        yield Finding("database", "ok", "none yet: nothing was run")
    else:
        yield Finding("database", "ok", counted)
    if health.exists and health.not_indexed:
        count = len(health.not_indexed)
        yield Finding("logs", "note", f"{count} of {health.logs} are not in the database", mend)
    if health.unread:
        names = ", ".join(f"{name} ({reason})" for name, reason in list(health.unread.items())[:3])
        said = f"{len(health.unread)} cannot be read: {names}"
        yield Finding("unread logs", "note", said, "give yourself the right to read them")
    if health.torn:
        lines = sum(health.torn.values())
        names = ", ".join(list(health.torn)[:3])
        said = f"{lines} torn lines, as a crash leaves them, in {names}; they are passed over"
        yield Finding("torn lines", "note", said)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _library(name: str, floor: str | None, have: str | None) -> Finding:
    mend = f"pip install '{name}>={floor}'" if floor else f"pip install {name}"
    if have is None:
        return Finding(name, "problem", "not installed", mend)
    if floor and _parts(have) < _parts(floor):
        return Finding(name, "problem", f"{have}, older than {floor}", mend)
    return Finding(name, "ok", have)


def _parts(told: str) -> tuple[int, ...]:
    """The numbers of a version, up to the first part that is none: "2.10.0+cpu" is 2, 10, 0."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[^0-9.]", told)[0]))


def _threads(threads: int, cores: int) -> Iterator[Finding]:
    limit = os.environ.get("OMP_NUM_THREADS")
    said = f"{threads} for {cores} cores" + (f", OMP_NUM_THREADS is {limit}" if limit else "")
    mend = "" if threads == cores else "unset OMP_NUM_THREADS, or choose with --threads"
    yield Finding("threads", "note" if mend else "ok", said, mend)


def _memory(total: int | str) -> Finding:
    if isinstance(total, str):
        return Finding("memory", "note", total)
    said = f"{total / GIGABYTE:.1f} GB"
    free = _available_memory()
    if free is None:
        return Finding("memory", "ok", said)
    little = free < LITTLE_MEMORY
    mend = "close other programs, or race smaller networks" if little else ""
    return Finding(
        "memory", "note" if little else "ok", f"{said}, {free / GIGABYTE:.1f} GB available", mend
    )


def _available_memory() -> int | None:
    """Bytes, as the kernel estimates them; None where it does not tell."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _load(cores: int) -> Iterator[Finding]:
    try:
        busy = os.getloadavg()[0]
    except (AttributeError, OSError):  # not on this system
        return
    crowded = busy > cores
    mend = "wait until it is quiet: measured times would be too long" if crowded else ""
    said = f"{busy:.1f} processes wanted a core in the last minute"
    yield Finding("load", "note" if crowded else "ok", said, mend)


def _probe(path: Path) -> Finding:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Finding("speed probe", "ok", "no choice kept yet")
    except (OSError, ValueError, RecursionError) as error:
        said = f"{path} cannot be read ({error}); it is measured again when needed"
        return Finding("speed probe", "note", said, f"rm {path}")
    choices = read.get("choices") if isinstance(read, dict) else None
    if not isinstance(choices, dict):
        return Finding("speed probe", "note", f"{path} holds no choices", f"rm {path}")
    return Finding("speed probe", "ok", f"{len(choices)} choices kept")


def own_home() -> Path:
    """The home folder, absolute."""
    return expanded(home()).absolute()
