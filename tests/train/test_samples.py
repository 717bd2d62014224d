"""Views that a thread has made ahead are those that would be made at once, whatever comes next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from convarium.data.views import Views
from convarium.train.samples import Samples

FIRST, OTHER = torch.tensor([3, 1, 8]), torch.tensor([5, 2])


@pytest.fixture
def ahead(bars, recipe, plan, monkeypatch) -> Samples:
    """As where a GPU computes; its kind of memory is not there to be had."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    samples = _samples(bars, replace(recipe, shift_px=2, mirror=True), plan)
    samples._maker = ThreadPoolExecutor(1)
    return samples


def _samples(bars, recipe, plan) -> Samples:
    return Samples(bars, bars.train, recipe, 7, plan)


@pytest.mark.parametrize(
    ("told", "asked"),
    [((FIRST, 2), (FIRST, 2)), ((OTHER, 2), (FIRST, 2)), ((FIRST, 1), (FIRST, 2))],
)
def test_what_was_made_ahead_is_what_is_asked_for(ahead, bars, plan, told, asked) -> None:
    ahead.soon(*told)
    images, labels = ahead.of(*asked)
    expected, right = _samples(bars, ahead.recipe, plan).of(*asked)
    assert torch.equal(images, expected)
    assert torch.equal(labels, right)


def test_it_is_made_once(ahead, monkeypatch) -> None:
    made, real = [], Views.__call__

    def count(self, ids, **more):
        made.append(ids.tolist())
        return real(self, ids, **more)

    monkeypatch.setattr(Views, "__call__", count)
    ahead.soon(FIRST, 1)
    ahead.of(FIRST, 1)
    ahead.soon(None, 1)  # behind the last batch
    assert made == [FIRST.tolist()]
