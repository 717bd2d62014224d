"""A data set and networks small enough to train in a test, and the command line on few digits."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from convarium.data import Dataset, PixelScale, Split
from convarium.data.model import InMemory
from convarium.machine import Plan
from convarium.recipes import Recipe
from loaded_once import loaded_once

PLAIN = "--precision fp32 --layout contiguous --threads 1 --device cpu --json".split()
Trial = Callable[..., list[dict[str, Any]]]


def _bars(n: int, start: int) -> Split:
    """Pictures of 8 x 8 with a bright bar in one of four rows, which is the class."""
    generator = torch.Generator().manual_seed(start)
    labels = torch.arange(n) % 4
    pixels = torch.randint(0, 60, (n, 1, 8, 8), generator=generator).to(torch.uint8)
    pixels[torch.arange(n), 0, 2 * labels] = 220
    names = tuple(f"bars {start + index}" for index in range(n))
    return Split(labels, names, InMemory(pixels), torch.arange(n))


@pytest.fixture(scope="session")
def bars() -> Dataset:
    """70 pictures to train on and 20 to test."""
    return Dataset(
        name="bars",
        kind="small",
        classes=("a", "b", "c", "d"),
        channels=1,
        side=8,
        train=_bars(70, 0),
        test=_bars(20, 1000),
        fingerprint="none",
        source="drawn in the test",
        scale=PixelScale((0.2,), (0.25,)),
    )


@pytest.fixture
def plan() -> Plan:
    return Plan(1)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe("bars", epochs=4, lr=0.05, batch=16, shift_px=0)


def small_net() -> nn.Sequential:
    """A convolution with batch norm, dropout, and a classifier."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(6 * 64, 4),
    )


@pytest.fixture(scope="session")
def process() -> Iterator[subprocess.Popen[str]]:
    """Loads torch once for all trials."""
    with loaded_once("train.ranks") as started:
        yield started


@pytest.fixture
def trial(process: subprocess.Popen[str], tmp_path: Path) -> Trial:
    """`convarium train` on `size` ranks, its words after the network's name; each rank's end."""

    def run(words: str, size: int = 2, *, out: str = "run", **more: Any) -> list[dict[str, Any]]:
        # Epochs of 6 batches of 16 pictures.
        data = more.pop("data", "digits")
        network, *rest = words.split()
        own = ("--device", "cpu") if "--devices" in rest else ()
        plain = [word for word in more.pop("plain", PLAIN) if word not in own]
        base = ["--data", str(data), "--set", "batch=16", *plain, "--out", str(tmp_path / out)]
        argv = ["train", network, *base, *rest]
        if "second" in more:
            argv = [argv, [*argv, *more.pop("second").split()]]
        env = {"CONVARIUM_HOME": str(tmp_path / "home")}
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"argv": argv, "size": size, "env": env, **more}) + "\n")
        process.stdin.flush()
        return list(json.loads(process.stdout.readline()))

    return run
