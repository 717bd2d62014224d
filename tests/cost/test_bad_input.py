"""Models on other devices, models larger than memory, and what is left behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import convarium
from convarium.errors import InputError, UsageError


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


class Inner(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("the user's own error")


class TwoInputs(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


CONV = nn.Conv2d(3, 8, 3)
BAD = [
    (TwoInputs(), (3, 8, 8), {}, InputError, "missing 1 required positional argument: 'y'. Wrap"),
    (nn.ModuleDict({"a": CONV}), (3, 8, 8), {}, InputError, "ModuleDict cannot take"),
    (nn.Sequential(CONV, nn.Sequential(Inner())), (3, 8, 8), {}, InputError, "in 1.0 cannot take"),
    (CONV, (3, 2, 2), {}, InputError, "Kernel size"),
    (CONV, (4, 8, 8), {}, InputError, "4 channels"),
    (CONV, (3, 0, 8), {}, UsageError, "1x3x0x8 is empty"),
    (CONV, (3, -1, 8), {}, UsageError, "1x3x-1x8 is empty"),
    (CONV, (3, 8, 8), {"batch_size": 0}, UsageError, "0x3x8x8 is empty"),
    (CONV, 224, {}, UsageError, "input_size=224 is no"),
    (CONV, (3, 8.0, 8), {}, UsageError, "is no"),
    (CONV, None, {}, UsageError, "input_size"),
    (7, (3, 8, 8), {}, UsageError, "not a int"),
    ("vgg_q", None, {}, UsageError, "no network is named 'vgg_q'"),
    ("vgg_d", (3, 16, 16), {}, InputError, "a 16x16 input is too small"),
    (nn.LazyConv2d(8, 3), (3, 8, 8), {}, InputError, "a lazy layer has no shape"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case[4])
@pytest.mark.parametrize("count", [convarium.measure_cost, convarium.predict_memory])
def test_bad_input_is_one_sentence(count, case) -> None:
    model, size, options, kind, words = case
    with pytest.raises(kind) as caught:
        count(model, size, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(InputError, match="cannot take a picture of 1x3x8x8"):
        convarium.measure_cost(CONV, (3, 8, 8), device="cuda:99")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_torch_lists_of_backends_are_left_out() -> None:
    """torch's own message has a line for each of some fifty backends."""
    model = nn.Linear(4, 4)
    model.register_buffer("q", torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8))
    with pytest.raises(InputError, match=r"Linear cannot be copied .* 'QuantizedMeta' backend\.$"):
        convarium.predict_memory(model, (4,))
