"""The recipe's optimiser, and what moves weights beside it: filter norms and the Polyak mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from convarium.errors import UsageError
from convarium.recipes import Recipe
from convarium.train.levenberg import Levenberg


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser as the recipe has it, over everything that the network trains.

    Raises:
        UsageError: the second-order method, and layers that it cannot look through.
    """
    groups = _groups(model, recipe)
    if recipe.optimizer == "sdlm":
        _check_second_order(model)
        return Levenberg(groups, lr=recipe.lr)
    if recipe.optimizer == "rmsprop":
        # Decay 0.9 and epsilon 1 of Szegedy et al. 2016 (arXiv 1512.00567), section 8, whom
        # MobileNet follows. Theirs adds epsilon below the root, torch behind it.
        return torch.optim.RMSprop(
            groups, lr=recipe.lr, alpha=0.9, eps=1.0, momentum=recipe.momentum, foreach=True
        )
    # One pass over a weight, its gradient and its momentum instead of four: 3 to 5 times faster.
    fused = all(
        type(p) is nn.Parameter and p.device.type in ("cpu", "cuda") for p in model.parameters()
    )
    optimizer = torch.optim.SGD(
        groups,
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        foreach=not fused,
        fused=fused,
    )
    # The one pass takes all momenta or none, but layers that chance passes over get theirs later.
    for p in (p for group in groups for p in group["params"] if recipe.momentum):
        optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
    return optimizer


def _check_second_order(model: nn.Module) -> None:
    """Second derivatives are those of one picture at a time, of a function without chance in it.

    Raises:
        UsageError: a layer that looks at the whole batch, or that draws.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)):
            raise UsageError(
                "LeCun's second-order method takes networks without batch norm and dropout, and "
                f"here {name} is {type(layer).__name__}. Take lenet5, or --set optimizer=sgd with "
                "a rate and a schedule of its own."
            )


def _groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The trained parameters, those that decay first."""
    depthwise = {
        id(layer.weight)
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1
    }

    def decays(p: nn.Parameter) -> bool:
        if recipe.decay_on == "not depthwise":
            return id(p) not in depthwise
        # Biases and batch norm have one dimension.
        return recipe.decay_on == "all" or p.dim() > 1

    trained = [p for p in model.parameters() if p.requires_grad]
    parts = (
        ([p for p in trained if decays(p)], recipe.weight_decay),
        ([p for p in trained if not decays(p)], 0.0),
    )
    return [{"params": part, "weight_decay": decay} for part, decay in parts if part]


def limit_filters(model: nn.Module, most: float) -> None:
    """Scales each convolution filter whose root mean square is above `most` down to it.

    Source:
        ZFNet, section 3.
    """
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                rms = layer.weight.square().mean((1, 2, 3), keepdim=True).sqrt()
                layer.weight.mul_(most / rms.clamp_min(most))


class Polyak:
    """The running mean of the parameters; `keep` is the share of the old mean kept a step.

    Young means forget faster, as in TensorFlow, where Inception and MobileNet were trained.
    """

    def __init__(self, model: nn.Module, keep: float) -> None:
        self.keep = keep
        self._now = dict(model.named_parameters())
        self.mean = {name: p.detach().clone() for name, p in self._now.items()}

    def update(self, step: int) -> None:
        """Takes the parameters behind step number `step` in."""
        share = 1 - min(self.keep, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.mean.values()), list(self._now.values()), share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, the network's parameters are the mean."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self) -> None:
        """Exchanges the network's parameters and the mean."""
        for name, p in self._now.items():
            p.data, self.mean[name] = self.mean[name], p.data
