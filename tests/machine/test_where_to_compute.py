"""Devices by name, where torch has none, one or two GPUs; the rest needs one: tests/gpu."""

from __future__ import annotations

import pytest
import torch

from convarium.errors import UsageError
from convarium.machine import default_device, known_device, sent


@pytest.fixture(params=[0, 2])
def gpus(request, monkeypatch) -> int:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    return request.param


def test_a_gpu_is_taken_where_there_is_one(gpus) -> None:
    assert default_device() == ("cuda" if gpus else "cpu")


def test_names_of_what_is_there(gpus) -> None:
    there = ["cpu", "cuda", "cuda:0", "cuda:1"] if gpus else ["cpu"]
    assert [known_device(name) for name in there] == there


@pytest.mark.parametrize("name", ["cuda:2", "cuda:", "cuda:-1", "gpu", "", "mps", "cpu:1", "CUDA"])
def test_other_names_are_refused_with_those_that_are_there(gpus, name) -> None:
    have = "cpu, cuda:0, cuda:1" if gpus else "cpu"
    with pytest.raises(UsageError) as refused:
        known_device(name)
    assert str(refused.value) == f"torch has no {name!r} here, only {have}."


def test_what_is_sent_to_the_processor_is_itself() -> None:
    x = torch.ones(3)
    assert sent(x, "cpu") is x
