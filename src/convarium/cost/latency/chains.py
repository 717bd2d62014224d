"""Chains of drawn layers, timed whole: what layers cost in a network beyond what they cost alone.

In a chain the memory of one layer is given back and taken again by the next, and all kinds of
kernels share the caches. The chains are drawn at random; they are no network's layer list.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import nn

from convarium.cost.latency.calls import Call, calls_of
from convarium.machine import Plan, answering, laps_in_turns
from convarium.trace import trace_anyhow

COUNT = 10
STOPS = 5  # moments of the calibration at which they are timed, as a check's networks are
ROUNDS = 2
SIDE = 160
Chain = tuple[tuple[Call, ...], float]


class Chains:
    """Some chains and the least seconds that each took so far."""

    def __init__(self, plan: Plan, seed: int = 1512) -> None:
        dice = random.Random(seed)
        self._plan = plan
        self._nets = [plan.place(_drawn(dice)) for _ in range(COUNT)]
        self._image = plan.move(torch.rand(1, 3, SIDE, SIDE))
        self._best = [float("inf")] * COUNT
        self._stops = 0

    def at(self, share: float) -> None:
        """Times them when the next moment of the calibration has come; `share` of it has passed."""
        if share < self._stops / STOPS:
            return
        self._stops += 1
        tasks = {str(n): self._run(net) for n, net in enumerate(self._nets)}
        with answering(*self._nets), torch.inference_mode(), self._plan.autocast():
            laps = laps_in_turns(tasks, seconds=0, least=ROUNDS, most=ROUNDS)
        self._best = [min(best, *laps[str(n)]) for n, best in enumerate(self._best)]

    def timed(self) -> list[Chain]:
        """The calls of each chain and its least seconds; none before they were timed."""
        if not self._stops:
            return []
        shape = tuple(self._image.shape)
        traces = [trace_anyhow(net, shape)[0] for net in self._nets]
        calls = [tuple(call for row in rows for call in calls_of(row)) for rows in traces]
        return list(zip(calls, self._best, strict=True))

    def _run(self, net: nn.Module) -> Callable[[], object]:
        return lambda: net(self._image)


def _drawn(dice: random.Random) -> nn.Module:
    """A stem, some layers at each of four sides, halved in between, and a classifier."""
    width = 8 * dice.randint(2, 8)
    layers: list[nn.Module] = [_conv(3, width, dice.choice((3, 5, 7)), stride=2), nn.ReLU()]
    normed, style = dice.random() < 0.7, dice.choice(("wide", "thin", "split", "mixed"))
    for _ in range(4):
        for _ in range(dice.randint(2, 5)):
            out = 8 * dice.randint(2, 8) if dice.random() < 0.5 else width
            layers += _block(dice, style, width, out)
            layers += [nn.BatchNorm2d(out)] if normed else []
            layers.append(nn.ReLU(inplace=dice.random() < 0.7))
            width = out
        out = min(1024, 2 * width)
        layers += [_conv(width, out, 1), nn.MaxPool2d(dice.choice((2, 3)), 2, padding=0)]
        width = out
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1000)]
    return nn.Sequential(*layers)


def _block(dice: random.Random, style: str, width: int, out: int) -> list[nn.Module]:
    kind = dice.choice(("wide", "thin", "split")) if style == "mixed" else style
    if kind == "wide":
        return [_conv(width, out, 3)]
    if kind == "thin":
        return [_conv(width, max(8, out // 2), 1), nn.ReLU(), _conv(max(8, out // 2), out, 3)]
    return [_conv(width, width, 3, groups=width), nn.ReLU(), _conv(width, out, 1)]


def _conv(c: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    padding = kernel // 2
    return nn.Conv2d(c, out, kernel, stride, padding, groups=groups, bias=False)
