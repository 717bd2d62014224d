"""Kills, Ctrl-C, full disks, folders without rights: nothing finished is lost, and it is said."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convarium.bakeoff.folder import is_sound
from convarium.records import Database, read_events, rebuild
from convarium.records.database import NAME
from loaded_once import loaded_once

TESTS = Path(__file__).resolve().parents[1]
MODELS = ("lenet5", "lenet_caffe")


class Racer:
    """The forking process, and one folder with its home."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self.out, self.home = folder / "race", folder / "home"

    def __call__(self, **trial: Any) -> dict[str, Any]:
        """One race, or the command line of `argv`."""
        argv = f"bakeoff --data digits --models {','.join(MODELS)} --epochs 2 --threads 1"
        argv += f" --precision fp32 --layout contiguous --out {self.out}"
        env = {"CONVARIUM_HOME": str(self.home), **trial.pop("env", {})}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = {"argv": argv.split(), "env": env, **trial}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def trained(self) -> list[str]:
        """Networks whose end of training the folder's log has, in order, with repeats."""
        events = read_events(self.out / "log.jsonl")
        return [e["result"]["model"] for e in events if e["event"] == "trained"]


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[str]]:
    """Loads torch once for all trials."""
    with loaded_once("bakeoff.cli_race") as started:
        yield started


@pytest.fixture
def racer(process: subprocess.Popen[str], tmp_path: Path) -> Racer:
    """Races in a folder of this test's own."""
    return Racer(process, tmp_path)


def assert_finished(racer: Racer) -> None:
    """The folder and the records hold a whole race, and nothing half-written."""
    written = json.loads((racer.out / "race.json").read_text())
    assert [result["status"] for result in written["results"]] == ["done", "done"]
    assert all(is_sound(racer.out / "weights" / f"{name}.safetensors") for name in MODELS)
    left = [path.name for path in racer.out.rglob(".*") if path.name != ".lock"]
    assert left == []
    with Database(racer.home) as database:
        statuses = {run["status"] for run in database.runs()}
    assert "open" not in statuses


def trials(count: int) -> list[tuple[int, float]]:
    """Signals and moments, drawn with a fixed seed; a race takes about a second."""
    draws = random.Random(3)
    return [
        ((signal.SIGKILL, signal.SIGINT)[at % 2], round(draws.uniform(0.02, 1.1), 3))
        for at in range(count)
    ]


def kill_and_go_on(racer: Racer, number: int, after: float) -> None:
    """A race that is stopped, then one that is not."""
    stopped = racer(signal=number, after=after)
    assert "Traceback" not in stopped["err"]
    assert stopped["code"] in (0, -signal.SIGKILL if number == signal.SIGKILL else 130)
    before = racer.trained()
    started = (racer.out / "log.jsonl").is_file()
    again = racer()
    assert again["code"] == 0, again["err"]
    # Each network's training ended once: what was finished is kept.
    assert sorted(racer.trained()) == sorted(MODELS)
    if before:
        assert "kept from an earlier call" in again["err"]
    if started and stopped["code"] == -signal.SIGKILL:
        assert "was cut off here" in again["err"]
    assert_finished(racer)


@pytest.mark.parametrize(("number", "after"), trials(3))
def test_a_race_stopped_at_any_moment_goes_on(racer: Racer, number: int, after: float) -> None:
    kill_and_go_on(racer, number, after)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "after"), trials(60)[3:])
def test_a_race_stopped_at_many_moments_goes_on(racer: Racer, number: int, after: float) -> None:
    kill_and_go_on(racer, number, after)


_SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "count", [8, *(pytest.param(n, marks=_SLOW) for n in (*range(1, 8), 9, 10, 11, 13, 16))]
)
def test_a_disk_full_from_some_write_on(racer: Racer, count: int) -> None:
    full = racer(no_space_at=count)
    assert full["code"] in (0, 5), full["err"]
    assert "Traceback" not in full["err"]
    if full["code"] == 5:
        assert "No space left" in full["err"] or "no room left" in full["err"]
    before = set(racer.trained())
    again = racer()
    assert again["code"] == 0, again["err"]
    assert before <= set(racer.trained())
    assert sorted(racer.trained()) == sorted(MODELS)
    assert_finished(racer)


@pytest.mark.parametrize(
    "limit", [50_000, *(pytest.param(n, marks=_SLOW) for n in (500, 5_000, 200_000))]
)
def test_files_that_may_not_grow(racer: Racer, limit: int) -> None:
    small = racer(fsize=limit)
    assert small["code"] in (0, 3, 5), small["err"]
    assert "Traceback" not in small["err"]
    assert racer()["code"] == 0
    assert_finished(racer)


def can_mount() -> bool:
    """True where a process may have a file system of its own."""
    if not shutil.which("unshare"):
        return False
    probe = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


_ON_A_SMALL_DISK = """
import sys, pathlib
from bakeoff.conftest import few_digits
from convarium.bakeoff import race, speed
from convarium.cli import main
race.load_dataset, speed.SECONDS = few_digits, 0.005
argv = "bakeoff --data digits --models lenet5,lenet_caffe --epochs 1 --threads 1 --precision fp32"
argv = [*argv.split(), "--layout", "contiguous", "--out", sys.argv[1] + "/race"]
first = main(argv)
logged = (pathlib.Path(sys.argv[1]) / "race/log.jsonl").read_text().count('"trained"')
import subprocess
subprocess.run(["mount", "-o", "remount,size=32m", sys.argv[1]], check=True)
print(first, logged, main(argv), file=sys.stderr)
"""


@pytest.mark.skipif(not can_mount(), reason="this process may mount nothing")
@pytest.mark.parametrize("kilobytes", [pytest.param(16, marks=_SLOW), 400])
@_SLOW
def test_a_disk_that_is_really_full(tmp_path: Path, kilobytes: int) -> None:
    script = tmp_path.with_name(f"{tmp_path.name}.py")
    script.write_text(_ON_A_SMALL_DISK)
    words = (
        f"mount -t tmpfs -o size={kilobytes}k tmpfs {tmp_path} && exec {sys.executable} {script}"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment["CONVARIUM_HOME"] = str(tmp_path / "home")
    told = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"{words} {tmp_path}"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    first, _, second = told.stderr.strip().splitlines()[-1].split()
    assert (first, second) == ("5", "0"), told.stderr
    assert "Traceback" not in told.stderr


def test_a_home_that_is_no_folder_costs_a_message(racer: Racer) -> None:
    racer.home.write_text("")
    told = racer()
    assert told["code"] == 0
    assert "records are kept in the run's folder alone" in told["err"]


@pytest.mark.skipif(sys.platform != "linux", reason="rights are given up by prctl")
@pytest.mark.parametrize(
    "words", ["--out {closed}/race --data digits", "--data {closed} --out {open}"]
)
def test_a_folder_without_rights(racer: Racer, tmp_path: Path, words: str) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0)
    line = words.format(closed=closed, open=tmp_path / "open")
    told = racer(argv=["bakeoff", *line.split()], ordinary=True)
    assert told["code"] == 3, told["err"]
    assert "closed" in told["err"].splitlines()[-1]
    assert "Traceback" not in told["err"]


@_SLOW
def test_a_locked_database_catches_up(racer: Racer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert racer(argv=["list"])["code"] == 0
    with Database(racer.home):
        pass
    lock = sqlite3.connect(racer.home / NAME, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    told = racer(busy=0.2)
    lock.execute("ROLLBACK")
    lock.close()
    assert told["code"] == 0
    assert "does not answer" in told["err"]
    with Database(racer.home) as database:
        assert {result["model"] for result in database.results()} == set(MODELS)
        assert [run["status"] for run in database.runs()] == ["done"]


@pytest.mark.parametrize(
    "at", [4096, *(pytest.param(n, marks=_SLOW) for n in (0, 18, 100, 5000, 9000))]
)
def test_a_database_damaged_anywhere_is_built_anew(racer: Racer, at: int) -> None:
    assert racer()["code"] == 0
    rebuild(racer.home)
    path = racer.home / NAME
    data = bytearray(path.read_bytes())
    data[at : at + 600] = b"\xa5" * 600
    path.write_bytes(data)
    again = racer()
    assert again["code"] == 0, again["err"]
    rebuild(racer.home)
    with Database(racer.home) as database:
        assert {result["model"] for result in database.results()} == set(MODELS)


def test_damaged_weights_are_trained_again(racer: Racer) -> None:
    assert racer()["code"] == 0
    weights = racer.out / "weights" / "lenet5.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert racer()["code"] == 0
    assert sorted(racer.trained()) == ["lenet5", "lenet5", "lenet_caffe"]
    assert_finished(racer)


def test_a_second_race_in_the_folder_is_refused(racer: Racer) -> None:
    import fcntl

    racer.out.mkdir()
    with (racer.out / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        told = racer()
    assert told["code"] == 2
    assert "another run is busy" in told["err"]
    assert racer()["code"] == 0
