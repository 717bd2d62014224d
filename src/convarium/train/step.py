"""One training step: forward, loss, backward, update."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convarium.machine import Plan
from convarium.recipes import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD as the recipe has it, over everything that the network trains."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.SGD(
        trained,
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
        foreach=True,
    )


def train_step(
    model: nn.Module,
    optimizer: torch.optim.SGD,
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
        recipe: clipping and the weight of auxiliary heads.
        plan: precision of the forward pass.
    """
    with plan.autocast():
        outputs = model(images)
    heads = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    loss = F.cross_entropy(heads[0].float(), labels)
    for head in heads[1:]:
        loss = loss + recipe.aux_weight * F.cross_entropy(head.float(), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if recipe.clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    optimizer.step()
    with torch.no_grad():
        right = (heads[0].argmax(1) == labels).sum()
    return loss.detach(), right
