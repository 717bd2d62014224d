"""Masks follow the sample: a batch in parts, or in another order, draws the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convarium.train.masks import keep, masks_by_sample


def _masked(ids, step=1, p=0.3):
    model = nn.Sequential(nn.Dropout(p), nn.Dropout(p)).train()
    torch.manual_seed(step)
    with masks_by_sample(model, 0, step, ids):
        return model(torch.ones(len(ids), 4000))


def test_parts_draw_what_the_whole_draws() -> None:
    ids = torch.tensor([5, 9, 2, 7])
    whole = _masked(ids)
    assert torch.equal(whole, torch.cat([_masked(ids[:1]), _masked(ids[1:])]))


def test_steps_and_samples_differ() -> None:
    one = _masked(torch.arange(4))
    assert not torch.equal(one, _masked(torch.arange(4), step=2))
    assert not torch.equal(one[0], one[1])


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_the_share_kept(share) -> None:
    keys = torch.randint(0, 2**31 - 1, (50, 2), dtype=torch.int32)
    kept = keep(keys, 1, (50, 20_000), share).float()
    # A million places: the mean's deviation is below 5e-4; five of them.
    assert kept.mean().item() == pytest.approx(share, abs=2.5e-3)


@pytest.mark.gpu
def test_a_gpu_draws_what_the_processor_draws() -> None:
    keys = torch.randint(0, 2**31 - 1, (50, 2), dtype=torch.int32)
    one, other = (keep(keys.to(device), 1, (50, 20_000), 0.5) for device in ("cpu", "cuda"))
    assert torch.equal(one, other.cpu())


def test_samples_and_neighbours_are_unrelated() -> None:
    keys = torch.randint(0, 2**31 - 1, (30, 2), dtype=torch.int32)
    kept = keep(keys, 1, (30, 20_000), 0.5).float()
    # 435 pairs of 20,000 places: the deviation of a correlation is 1 / sqrt(20,000) = 0.0071.
    assert (torch.corrcoef(kept) - torch.eye(30)).abs().max() < 6 * 0.0071
    pair = torch.stack([kept[:, 1:].flatten(), kept[:, :-1].flatten()])
    assert torch.corrcoef(pair)[0, 1].abs() < 6 / (30 * 20_000) ** 0.5


def test_the_layers_are_put_back() -> None:
    model = nn.Sequential(nn.Dropout(0.5))
    with masks_by_sample(model, 0, 1, torch.arange(2)):
        pass
    assert "forward" not in vars(model[0])
