"""Counts in several threads, beside networks that run: torch's hooks of modules are for all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import torch
from torch import nn

import convarium


def deep(width: int) -> nn.Module:
    layers = [nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 3, 3))] * 40
    return nn.Sequential(*layers)


def macs(width: int, side: int = 200) -> int:
    """Without borders every convolution takes two pixels off the side."""
    ends = [side - 2 * n for n in range(1, 81)]
    return sum(9 * 3 * width * end * end for end in ends)


def test_counts_in_threads_beside_a_network_that_runs() -> None:
    done, small = Event(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    def run() -> int:
        passes = 0
        while not done.is_set():
            small(torch.zeros(1, 3, 8, 8))
            passes += 1
        return passes

    with ThreadPoolExecutor(5) as pool:
        running = pool.submit(run)
        widths = [4, 8, 16, 32] * 3
        counts = [pool.submit(convarium.measure_cost, deep(w), (3, 200, 200)) for w in widths]
        try:
            found = [count.result() for count in counts]
        finally:
            done.set()
        assert running.result() > 0
    assert [report.macs for report in found] == [macs(width) for width in widths]
    assert {len(report.rows) for report in found} == {120}
