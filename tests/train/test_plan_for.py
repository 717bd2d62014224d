"""The probe runs on copies: the network, the generator and the data stay as they were."""

from __future__ import annotations

import torch

from convarium.machine import probe
from convarium.train import plan_for
from train.conftest import small_net


def test_the_probe_leaves_the_network_alone(bars, recipe, monkeypatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", (0.05, 0.05))
    model = small_net()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    generator = torch.get_rng_state()
    plan = plan_for("small_net", model, bars, recipe, threads=1)
    assert "fp32 contiguous" in plan.chosen_by
    assert plan_for("small_net", model, bars, recipe, threads=1) == plan
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
