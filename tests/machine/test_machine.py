"""What this machine is, its stop-watch, its memory mark, and what a plan sets and puts back."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from convarium.errors import UsageError
from convarium.machine import PeakMemory, Plan, Timing, answering, describe_machine, interleaved


def test_description_holds_what_a_record_needs() -> None:
    machine = describe_machine()
    assert machine["processor"]
    assert 1 <= machine["cores_available"] <= machine["cores"] == os.cpu_count()
    assert machine["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert machine["memory_bytes"] > 1e8


def test_tasks_are_timed_in_turns() -> None:
    calls: list[str] = []
    tasks = {name: lambda name=name: calls.append(name) for name in "abc"}
    times = interleaved(tasks, seconds=0, least=4, warmup=1)
    assert "".join(calls) == "abc" * 5
    assert {name: timing.n for name, timing in times.items()} == {"a": 4, "b": 4, "c": 4}


def test_the_stopwatch_measures_seconds() -> None:
    timing = interleaved({"nap": lambda: time.sleep(0.02)}, seconds=0.1)["nap"]
    assert 0.02 <= timing.low <= timing.median <= timing.high


def test_one_repeat_is_its_own_median() -> None:
    assert interleaved({"a": lambda: None}, seconds=0, least=1, warmup=0)["a"].n == 1
    assert Timing(1, 2.0, 2.0, 2.0, 2.0).median == 2.0


def test_peak_memory_sees_a_block_that_was_freed() -> None:
    """In a process of its own: pages that earlier tests freed and this one reuses are not seen."""
    code = (
        "import torch; from convarium.machine import PeakMemory\n"
        "with PeakMemory() as peak:\n"
        "    block = torch.ones(64 << 20, dtype=torch.uint8)\n"
        "    del block\n"
        "print(peak.bytes, peak.reason)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, _, reason = out.stdout.strip().partition(" ")
    if found == "None":
        pytest.skip(reason)
    assert 60 << 20 < int(found) < 128 << 20


def test_peak_memory_says_why_there_is_none(tmp_path) -> None:
    with PeakMemory(tmp_path / "none") as peak:
        pass
    assert peak.bytes is None
    assert "cannot be reset" in peak.reason


@pytest.mark.parametrize("threads", [0, 100_000])
def test_threads_that_no_system_grants_are_refused(threads) -> None:
    with pytest.raises(UsageError, match=f"threads must be from 1 to 1024, not {threads}"):
        Plan(threads)


def test_a_plan_puts_threads_back() -> None:
    before = torch.get_num_threads()
    with Plan(before + 1).settings():
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_a_plan_lays_weights_and_pictures_out() -> None:
    plan = Plan(1, "channels_last")
    layer = plan.place(nn.Conv2d(3, 4, 3))
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert plan.move(torch.zeros(2, 3, 8, 8)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_precision_is_that_of_the_forward_pass(precision, dtype) -> None:
    layer = nn.Linear(4, 4)
    with Plan(1, precision=precision).autocast():
        assert layer(torch.zeros(1, 4)).dtype == dtype
    assert layer.weight.dtype == torch.float32


def test_answering_puts_every_mode_back() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    model[1].eval()
    with answering(model):
        assert not model.training
        assert not torch.is_grad_enabled()
    assert [module.training for module in model.modules()] == [True, True, False, False]
