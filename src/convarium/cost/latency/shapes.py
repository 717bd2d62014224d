"""Which shapes to calibrate on: drawn at random from what convolutional networks are made of.

No network's layer list is read: channels, sides and kernels come from ranges, so that a network is
always new to the model.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

from convarium.cost.latency.calls import Call

SEED = 20160614
TURN = 24  # shapes timed in turns: when one's turn comes again, its weights are cold
LIGHT_MACS = 2e8
MOST_MACS = 2.2e9  # of one call: the heaviest layers of the landmark networks have 1.85e9
MOST_ELEMENTS = 7e6  # of one tensor
_KERNELS = ((1, 3, 5, 7, 11), (20, 60, 8, 8, 4))
_SHARES: dict[str, int] = {  # of the turns
    **{"conv": 32, "pointwise": 24, "depthwise": 9, "grouped": 6, "linear": 5, "norm": 4},
    **{"map": 2, "map_in_place": 3, "curve": 2, "sum": 2, "sum_in_place": 2, "join": 2},
    **{"copy": 2, "max_pool": 3, "mean_pool": 1, "mean": 1, "product": 1, "view": 1},
    "mean_window": 1,
}
FAMILIES = len(_SHARES)  # so many turns have each of them once


def drawn(seed: int = SEED) -> Iterator[list[Call]]:
    """Turns without end, the same ones in the same order for one seed.

    A turn is of one family, for a network calls few kinds of kernels and keeps their code in cache.
    Each family has one turn before the next come by their share.
    """
    dice = random.Random(seed)
    given = dict.fromkeys(_SHARES, 0)
    while True:
        family = min(_SHARES, key=lambda name: given[name] / _SHARES[name])
        given[family] += 1
        yield [_fitting(family, dice) for _ in range(1 if family == "view" else TURN)]


def _fitting(family: str, dice: random.Random) -> Call:
    """Heavy calls are drawn less often: many light ones are timed meanwhile."""
    while True:
        call = _DRAW[family](dice)
        rare = dice.random() ** 2 * call.macs > LIGHT_MACS
        if call.macs <= MOST_MACS and _largest(call) <= MOST_ELEMENTS and not rare:
            return call


def _largest(call: Call) -> int:
    if call.kind in ("conv", "max_pool", "mean_pool"):
        wide = max(call["c"], call["out"] // call["stride"] ** 2 if call.kind == "conv" else 0)
        return call["n"] * call["h"] * call["w"] * wide
    return math.prod(call.sizes) if call.kind in ("norm", "mean") else 0


def _between(dice: random.Random, low: float, high: float) -> int:
    """Evenly spread on the log scale."""
    return round(math.exp(dice.uniform(math.log(low), math.log(high))))


def _channels(dice: random.Random, low: int = 8, high: int = 2048) -> int:
    """Mostly multiples of 16 or 8, as designers choose; sometimes any number."""
    value = _between(dice, low, high)
    step = dice.choice((32, 16, 16, 8, 8, 4, 1))
    return max(step, round(value / step) * step)


def _picture(dice: random.Random) -> tuple[int, int]:
    """Batch and side in pixels; deep layers, which are many, have small sides."""
    batch = dice.choice((1, 1, 1, 1, 1, 1, 2, 4, 8, 16))
    usual = (7, 14, 28, 56, 112, 224, 8, 16, 32, 13, 27, 55)
    side = dice.choice(usual) if dice.random() < 0.6 else _between(dice, 3, 240)
    return batch, side


def _conv(dice: random.Random) -> Call:
    kernel = dice.choices(*_KERNELS)[0]
    kernel = 3 if kernel == 1 else kernel
    n, side = _picture(dice)
    stride = dice.choices((1, 2, 4), (80, 17, 3))[0]
    if side > 100 and dice.random() < 0.4:  # a first layer
        return Call(
            "conv", (n, 3, side, side, _channels(dice, 16, 128), kernel, kernel, stride, 1, 1)
        )
    c, out = _channels(dice), _channels(dice)
    return Call("conv", (n, c, side, side, out, kernel, kernel, stride, 1, 1))


def _pointwise(dice: random.Random) -> Call:
    n, side = _picture(dice)
    stride = dice.choices((1, 2), (90, 10))[0]
    return Call("conv", (n, _channels(dice), side, side, _channels(dice), 1, 1, stride, 1, 1))


def _depthwise(dice: random.Random) -> Call:
    n, side = _picture(dice)
    c, kernel = _channels(dice), dice.choice((3, 3, 3, 5, 7))
    return Call("conv", (n, c, side, side, c, kernel, kernel, dice.choice((1, 1, 2)), 1, c))


def _grouped(dice: random.Random) -> Call:
    n, side = _picture(dice)
    groups = dice.choice((2, 2, 4, 8, 16, 32, 32, 64))
    c, out = (groups * _channels(dice, 4, max(4, 1024 // groups)) for _ in range(2))
    if dice.random() < 0.6:
        out = c
    kernel = dice.choice((3, 3, 3, 1, 5))
    return Call(
        "conv", (n, c, side, side, out, kernel, kernel, dice.choice((1, 1, 1, 2)), 1, groups)
    )


def _linear(dice: random.Random) -> Call:
    batch = dice.choice((1, 1, 1, 1, 2, 8, 32, 197))
    inputs, outputs = (_between(dice, 32, 26000), _between(dice, 10, 5000))
    return Call("linear", (batch, inputs, outputs))


def _product(dice: random.Random) -> Call:
    inner = [_between(dice, 16, 512) for _ in range(3)]
    return Call("product", (_between(dice, 1, 48), *inner))


def _norm(dice: random.Random) -> Call:
    n, side = _picture(dice)
    return Call("norm", (n, _channels(dice), side * side))


def _pool(kind: str) -> Callable[[random.Random], Call]:
    def draw(dice: random.Random) -> Call:
        n, side = _picture(dice)
        kernel = dice.choice((2, 3, 3, 5, 7))
        side = max(side, kernel)
        stride = dice.choice((1, 2, 2))
        return Call(kind, (n, _channels(dice), side, side, kernel, stride))

    return draw


def _mean(dice: random.Random) -> Call:
    return Call("mean", (_between(dice, 16, 8192), _between(dice, 4, 800)))


def _sized(kind: str) -> Callable[[random.Random], Call]:
    return lambda dice: Call(kind, (_between(dice, 100, MOST_ELEMENTS),))


_DRAW: dict[str, Callable[[random.Random], Call]] = {
    **{"conv": _conv, "pointwise": _pointwise, "depthwise": _depthwise, "grouped": _grouped},
    **{"linear": _linear, "product": _product, "norm": _norm, "mean": _mean},
    **{kind: _pool(kind) for kind in ("max_pool", "mean_pool")},
    **{
        kind: _sized(kind)
        for kind in ("map", "map_in_place", "curve", "sum", "sum_in_place", "copy")
    },
    "join": lambda dice: Call("join", (dice.choice((2, 2, 3, 4, 8)), _between(dice, 1e3, 4e6))),
    "mean_window": lambda dice: Call(
        "mean_window", (_between(dice, 1e4, 1e6), dice.choice((3, 5, 5, 7, 9)))
    ),
    "view": lambda dice: Call("view", ()),
}
