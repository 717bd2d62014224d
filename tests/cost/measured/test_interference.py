"""The signs of other work on the machine: synthetic ones, and a real busy program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convarium.cost.measured.interference import Signs, Watch, judge

QUIET = {"wall": 2.0, "processor": 3.9, "switches": 4, "reference": (1e-3, 1.1e-3, 1.05e-3)}


def test_a_quiet_machine_raises_no_flag() -> None:
    found = judge(Signs(**QUIET, others=(0, 0, 1), steal=0.0))
    assert (found.disturbed, found.reasons) == (False, ())


@pytest.mark.parametrize(
    ("sign", "said"),
    [
        ({"reference": (1e-3,) * 8 + (2e-3,) * 2}, "a fixed kernel took 1.00 ms at best"),
        ({"switches": 200}, "took the processor from us 100 times a second"),
        ({"others": (2, 2, 0)}, "2 other threads ran beside us"),
        ({"steal": 0.1}, "the host gave 10 % of the processors to others"),
        ({"processor": 1.0}, "1.00 processor seconds in 2.00 s"),
    ],
)
def test_each_sign_is_told(sign, said: str) -> None:
    found = judge(Signs(**{**QUIET, **sign}))
    assert found.disturbed
    assert len(found.reasons) == 1
    assert said in found.reasons[0]


def _proc(folder: Path, running: int, steal: int, idle: int) -> None:
    (folder / "loadavg").write_text(f"0.5 0.4 0.3 {running}/200 4711\n")
    (folder / "stat").write_text(f"cpu  100 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1\n")


def test_a_watch_reads_what_the_system_tells(tmp_path) -> None:
    _proc(tmp_path, running=4, steal=0, idle=0)
    watch = Watch(2, tmp_path)
    for _ in range(3):
        watch.look()
    _proc(tmp_path, running=4, steal=30, idle=70)
    signs = watch.verdict().signs
    assert signs.others == (2, 2, 2)
    assert signs.steal == pytest.approx(30 / 100)
    assert len(signs.reference) == 2  # the first call is not counted


def test_a_system_that_tells_nothing_leaves_the_rest(tmp_path) -> None:
    watch = Watch(1, tmp_path / "none")
    watch.look()
    signs = watch.verdict().signs
    assert (signs.others, signs.steal) == ((), None)
    assert signs.wall > 0


def test_a_busy_program_is_seen() -> None:
    """As many of them as there are cores: one at least then runs beside us at any moment."""
    code = "while True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(os.cpu_count() or 1)]
    try:
        time.sleep(0.3)
        watch = Watch(1)
        for _ in range(20):
            watch.look()
            time.sleep(0.01)
        assert watch.verdict().disturbed
    finally:
        for program in busy:
            program.kill()
            program.wait()
