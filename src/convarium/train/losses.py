"""What training lowers: the recipe's loss of a network's outputs, auxiliary heads included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from convarium.recipes import Recipe

# Paper silent: the constant j of eq. 9, only that it is positive. 1 gives a rubbish class as far
# away as a picture at distance 1 of its class's code.
MAP_J = 1.0


def loss_of(outputs: Any, labels: Tensor, recipe: Recipe) -> Tensor:
    """Mean loss over the batch, in nats; each auxiliary head's weighs `recipe.aux_weight`.

    Args:
        outputs: logits (N, classes), or a tuple of them with the main head first.
        labels: (N,) int64.
        recipe: `loss` and `aux_weight`.
    """
    one = _LOSSES[recipe.loss]
    heads = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    loss = one(heads[0].float(), labels)
    for head in heads[1:]:
        loss = loss + recipe.aux_weight * one(head.float(), labels)
    return loss


def _logistic(logits: Tensor, labels: Tensor) -> Tensor:
    """Independent logistic units, summed over the classes."""
    targets = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    units = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return units / len(labels)


def _map(logits: Tensor, labels: Tensor) -> Tensor:
    """LeNet-5's criterion, eq. 9 (section II.C): logits are minus the penalties y."""
    rubbish = logits.new_full((len(logits), 1), -MAP_J)
    right = logits.gather(1, labels[:, None]).squeeze(1)
    return (torch.cat([logits, rubbish], 1).logsumexp(1) - right).mean()


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "logistic": _logistic,
    "map": _map,
}
