"""One training step: forward, loss, backward, update; the batch at once or in parts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from convarium.machine import Plan
from convarium.recipes import Recipe
from convarium.train.kernels import faster_layers
from convarium.train.losses import loss_of
from convarium.train.optimizers import limit_filters


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    *,
    recipe: Recipe,
    plan: Plan,
) -> tuple[Tensor, Tensor]:
    """One update of `model`; returns (loss, number of right answers) as tensors, not yet read.

    Args:
        model: in train mode, placed by the plan.
        optimizer: of `make_optimizer`; its learning rate is already set.
        images: (N, C, H, W) float32, moved by the plan.
        labels: (N,) int64 on the same device.
        recipe: loss, clipping and the weight of auxiliary heads.
        plan: precision of the forward pass.
    """
    optimizer.zero_grad(set_to_none=True)
    told = add_gradient(model, images, labels, recipe=recipe, plan=plan)
    update(model, optimizer, recipe)
    return told


def add_gradient(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    recipe: Recipe,
    plan: Plan,
    share: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Adds `share` of a part's mean gradient to `.grad`; (share of its loss, right answers).

    With the part's size over the batch's as share, the parts add up to the whole batch's mean.
    """
    with plan.autocast(), faster_layers(model, plan):
        outputs = model(images)
    loss = loss_of(outputs, labels, recipe)
    if share != 1:
        loss = loss * share
    loss.backward()
    with torch.no_grad():
        logits = outputs[0] if isinstance(outputs, (tuple, list)) else outputs
        right = (logits.argmax(1) == labels).sum()
    return loss.detach(), right


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    clip: Callable[[float], None] | None = None,
) -> None:
    """Moves the parameters by their gradients, as the recipe bounds both.

    `clip` bounds the gradients' norm where `model` has not all parameters of the network.
    """
    if recipe.clip is not None:
        if clip is None:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        else:
            clip(recipe.clip)
    optimizer.step()
    if recipe.max_filter_rms is not None:
        limit_filters(model, recipe.max_filter_rms)
