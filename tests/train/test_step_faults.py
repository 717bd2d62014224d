"""Memory that runs out halves the micro-batch; a lost loss names its batch and layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convarium.data.counter import order
from convarium.errors import ExhaustedError
from convarium.machine import Plan
from convarium.train import DivergedError, Keeper, MicroBatchHalved, Training, fit
from convarium.train.checkpoint import newest
from train.conftest import small_net


class Small(nn.Module):
    """Has memory for so many pictures at once."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.net, self.most = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), most

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.net(x)


def _small(most: int) -> Small:
    torch.manual_seed(0)
    return Small(most)


def test_memory_that_runs_out_keeps_the_global_batch(bars, recipe) -> None:
    whole, parts = _small(99), _small(5)
    list(fit(whole, bars, recipe, seed=0, plan=Plan(1)))
    events = list(fit(parts, bars, recipe, seed=0, plan=Plan(1)))
    told = [event for event in events if isinstance(event, MicroBatchHalved)]
    assert told == [MicroBatchHalved(1, 4)]
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_no_memory_at_all_is_exhausted(bars, recipe) -> None:
    with pytest.raises(ExhaustedError, match="2 pictures at a time"):
        list(fit(_small(1), bars, recipe, seed=0, plan=Plan(1)))


def test_other_errors_of_torch_stay(bars, recipe) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        list(fit(nn.Sequential(nn.Linear(5, 4)), bars, recipe, seed=0, plan=Plan(1)))


def test_a_lost_loss_names_batch_and_layer_and_keeps_the_checkpoint(bars, recipe, tmp_path) -> None:
    class Breaks(nn.Module):
        """From its third picture batch on, what it gives is not finite."""

        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x * (float("inf") if self.calls > 2 else 1)

    model, keeper = nn.Sequential(*small_net(), Breaks()), Keeper(tmp_path, {}, steps=1)
    training = Training(model, bars, recipe, 0, Plan(1), keeper=keeper)
    with pytest.raises(DivergedError, match=r"at step 3 .*Its batch: bars .* is 6\. ") as caught:
        list(training.events())
    error = caught.value
    third = order(0, 1, 70)[32:48].tolist()
    assert error.ids == third
    assert error.names == [f"bars {index}" for index in third]
    assert [row.layer for row in error.layers if row.finite < 1] == ["6"]
    assert newest(tmp_path, print).about["at"]["step"] == 2
