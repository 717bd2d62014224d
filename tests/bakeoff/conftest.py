"""A race small enough for a test: a few of the digits, two LeNets, timing in an instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from convarium.bakeoff import race, single, speed
from convarium.bakeoff.settings import Settings
from convarium.data import Dataset, load_dataset

MODELS = ("lenet5", "lenet_caffe")


def few_digits(spec: str, **asked: int) -> Dataset:
    """The first 96 digits to train on, 40 to test."""
    digits = load_dataset(spec, **asked)
    return replace(digits, train=digits.train.subset(range(96)), test=digits.test.subset(range(40)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Races in this test see few digits and take no time for timing."""
    monkeypatch.setattr(race, "load_dataset", few_digits)
    monkeypatch.setattr(single, "load_dataset", few_digits)
    monkeypatch.setattr(speed, "SECONDS", 0.005)


@pytest.fixture
def settings(tmp_path: Path, small: None) -> Callable[..., Settings]:
    """Settings of a small race, one thread and no probe; fields can be changed."""

    def make(**changes: object) -> Settings:
        first = Settings(
            "digits",
            tmp_path / "race",
            models=MODELS,
            epochs=1,
            precision="fp32",
            layout="contiguous",
            threads=1,
            command="convarium bakeoff --data digits",
        )
        return replace(first, **changes)

    return make
