"""The speed probe on a network's own training step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from convarium.cost.report import cost_of
from convarium.data import Dataset
from convarium.errors import times
from convarium.machine import Plan, choose_plan
from convarium.recipes import Recipe
from convarium.train.optimizers import make_optimizer
from convarium.train.step import train_step

# A full batch of a large network would take longer than the probe may: about 0.1 s a step here.
PROBE_MACS = 3e9
LEAST_BATCH = 8


def plan_for(
    name: str,
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    **fixed: Any,
) -> Plan:
    """The plan under which `model` trains fastest here, kept or measured on copies of it.

    Args:
        name: of the network; with the batch's shape, the key under which the choice is kept.
        model: stays as it is.
        dataset: gives the shape and a batch.
        recipe: gives the batch size and the clipping.
        fixed: what the user has fixed of threads, layout, precision and device, as `choose_plan`
            takes it.

    Raises:
        UsageError: a value that no plan takes.
    """
    batch = min(_affordable(name, model, dataset, recipe.batch), len(dataset.train))
    images = dataset.prepare(dataset.train.images(range(batch)))
    labels = dataset.train.labels[:batch]

    def make_step(plan: Plan) -> Callable[[], object]:
        probed = plan.place(copy.deepcopy(model)).train()
        optimizer = make_optimizer(probed, recipe)
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # the same work, and values that stay in range
        inputs, targets = plan.move(images), labels.to(plan.device)

        def step() -> None:
            train_step(probed, optimizer, inputs, targets, recipe=recipe, plan=plan)
            plan.wait()

        return step

    with torch.random.fork_rng():  # dropout draws masks
        return choose_plan(f"{name} {times(images.shape)}", make_step, **fixed)


def _affordable(name: str, model: nn.Module, dataset: Dataset, most: int) -> int:
    """Pictures of a probed step: a batch, fewer where that is too much work."""
    size = (dataset.channels, dataset.side, dataset.side)
    macs = max(1, cost_of(model, size, name=name).macs)
    return max(LEAST_BATCH, min(most, int(PROBE_MACS / macs)))
