"""The gradient's norm in each stage of a network: where it vanishes, where it explodes."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

import torch
from torch import Tensor, nn

LEAST, MOST = 3, 16  # stages; fewer are opened, of more an even choice is taken
WATCH_EVERY = 10  # steps between two looks, and at each epoch's first step


def stages_of(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The network's stages as it lists them, each with the weights it trains.

    They are the top-level children; where those are few, as `features` and `classifier`, their own
    children. Biases and normalisations do not count, nor does a stage of them alone.

    >>> list(stages_of(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Linear(2, 2))))
    ['0', '2']
    """
    found = _children("", model)
    while len(found) < LEAST:
        opened = {k: v for name, part in found.items() for k, v in _children(name, part).items()}
        if len(opened) <= len(found):
            break
        found = opened
    names = list(found)
    if len(names) > MOST:
        names = [names[round(i * (len(names) - 1) / (MOST - 1))] for i in range(MOST)]
    return {name: _weights(found[name]) for name in names}


def _children(name: str, module: nn.Module) -> dict[str, nn.Module]:
    """The children that have weights, by their paths; the module itself where none has."""
    begin = f"{name}." if name else ""
    found = {begin + k: child for k, child in module.named_children() if _weights(child)}
    return found or ({name: module} if _weights(module) else {})


def _weights(module: nn.Module) -> list[nn.Parameter]:
    return [p for p in module.parameters() if p.requires_grad and p.dim() > 1]


def gradient_norms(stages: Mapping[str, list[nn.Parameter]]) -> Tensor:
    """(stages,) Euclidean norm of each stage's gradient, before clipping; 0 where it has none.

    Stays on the device: nothing waits for it.
    """
    norms = []
    for parameters in stages.values():
        grads = [p.grad for p in parameters if p.grad is not None]
        if grads:
            own = torch._foreach_norm(grads)
            norms.append(torch.stack([norm.float() for norm in own]).norm())
        else:
            norms.append(torch.zeros((), device=parameters[0].device))
    return torch.stack(norms) if norms else torch.zeros(0)


class NormTally:
    """The norms of one epoch: the sum of each stage's, over the steps that were looked at."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.latest: dict[str, float] | None = None
        self._sums = [0.0] * len(names)
        self._steps = 0
        self._unread: list[Tensor] = []

    def add(self, norms: Tensor) -> None:
        """One step's, still on the device."""
        self._unread.append(norms)

    def read(self) -> None:
        """Takes in what was added; a step with a norm that is no finite number is passed over."""
        for row in torch.stack(self._unread).tolist() if self._unread else []:
            if all(map(isfinite, row)):
                self.latest = dict(zip(self.names, row, strict=True))
                self._sums = [a + b for a, b in zip(self._sums, row, strict=True)]
                self._steps += 1
        self._unread.clear()

    def means(self) -> dict[str, float]:
        """Each stage's mean over the epoch so far; empty where no step was looked at."""
        self.read()
        pairs = zip(self.names, self._sums, strict=True)
        return {name: total / self._steps for name, total in pairs} if self._steps else {}

    def kept(self) -> list[float]:
        """What a checkpoint needs of it."""
        self.read()
        return [float(self._steps), *self._sums]

    def restore(self, kept: list[float]) -> None:
        """Goes on from what `kept` gave; another network's is left out."""
        if len(kept) == 1 + len(self.names):
            self._steps, self._sums = round(kept[0]), kept[1:]
