"""What a network's code keeps for later outside of the network still serves a real pass."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

import convarium

_BY_WIDTH: dict[int, list[Tensor]] = {}
_WORDS = {"kept": 1}
_last: Tensor | None = None


@lru_cache
def _memoised(width: int) -> tuple[Tensor, Tensor]:
    return torch.arange(width) + 1.0, torch.ones(width)


def _in_dict(width: int) -> Tensor:
    if width not in _BY_WIDTH:
        _BY_WIDTH[width] = [torch.arange(width) + 1.0]
    return _BY_WIDTH[width][0]


def _by_name(width: int) -> Tensor:
    global _last  # noqa: PLW0603 - as such code has it
    if _last is None:
        _last = torch.arange(width) + 1.0
    return _last


class Reads(nn.Module):
    """A vector, which some read a value of, and numbers that the code keeps besides."""

    def __init__(self, *, reads: bool = False) -> None:
        super().__init__()
        self.line, self.reads = nn.Linear(4, 4), reads
        nn.init.eye_(self.line.weight)
        nn.init.zeros_(self.line.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.line(x)
        if self.reads and bool(x.sum() > 1e9):
            x = -x
        return x + self.numbers(x)

    def numbers(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Coded(Reads):
    """Adds the numbers 1, 2, ... from four caches."""

    codes: ClassVar[OrderedDict[int, Tensor]] = OrderedDict()

    def numbers(self, x: Tensor) -> Tensor:
        if 4 not in self.codes:
            self.codes[4] = torch.arange(4) + 1.0
        return self.codes[4] + _memoised(4)[0] + _in_dict(4) + _by_name(4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("reads", [False, True])
def test_a_real_pass_after_a_prediction(training, reads) -> None:
    model = Coded(reads=reads)
    first = convarium.predict_memory(model, (4,), training=training)
    again = convarium.predict_memory(model, (4,), training=training)
    assert reads or again == first  # a real pass leaves caches that serve the next
    assert model(torch.zeros(1, 4)).tolist() == [[4, 8, 12, 16]]
    assert _WORDS == {"kept": 1}
    Coded.codes.clear()


@lru_cache
def _of_device(width: int, device: str) -> Tensor:
    return torch.arange(width, device=device) + 1.0


class Placed(Reads):
    """Adds the numbers 1, 2, ... twice, from caches that are filled where the first vector lies."""

    def numbers(self, x: Tensor) -> Tensor:
        if "codes" not in _BY_PLACE:
            _BY_PLACE["codes"] = torch.arange(4, device=x.device) + 1.0
        return _BY_PLACE["codes"] + _of_device(4, str(x.device))


_BY_PLACE: dict[str, Tensor] = {}


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_real_pass_after_a_count(reads, training) -> None:
    model = Placed(reads=reads)
    first = convarium.measure_cost(model, (4,), training=training)
    again = convarium.measure_cost(model, (4,), training=training)
    assert reads or again == first
    assert model(torch.zeros(1, 4)).tolist() == [[2, 4, 6, 8]]
    _BY_PLACE.clear()
    _of_device.cache_clear()


def test_caches_of_real_tensors_stay() -> None:
    model = Coded()
    model(torch.zeros(1, 4))
    known = _memoised(4)
    convarium.predict_memory(model, (4,))
    assert _memoised(4) is known
    assert model(torch.zeros(1, 4)).tolist() == [[4, 8, 12, 16]]
