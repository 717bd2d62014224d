"""Models on other devices, models larger than memory, and what is left behind."""

from __future__ import annotations

import torch
from torch import nn

import convarium


def test_a_model_larger_than_most_memories() -> None:
    """Four layers of 25,000 x 25,000 float32: 10 GB, none of it stored."""
    with torch.device("meta"):
        layers = [nn.Linear(25_000, 25_000, bias=False) for _ in range(4)]
    report = convarium.measure_cost(nn.Sequential(*layers), (25_000,))
    assert report.params == report.macs == 4 * 25_000**2
    assert 4 * report.params == 10_000_000_000


def test_a_model_on_the_meta_device_and_one_on_the_cpu_cost_the_same() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())

    with torch.device("meta"):
        empty = make()
    reports = [convarium.measure_cost(model, (3, 9, 9)) for model in (empty, make())]
    assert reports[0] == reports[1]


def test_the_model_keeps_its_device_and_values() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    convarium.measure_cost(model, (3, 9, 9), training=True)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert {p.device.type for p in model.parameters()} == {"cpu"}
