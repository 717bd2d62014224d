"""What a difference compares: units, each a layer with the norm and activation that follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WEIGHTED = frozenset({"conv", "linear"})


@dataclass(frozen=True, slots=True)
class Spread:
    """First values of a tensor: their mean and standard deviation, over `count` values."""

    mean: float
    std: float
    count: int


@dataclass(frozen=True, slots=True)
class Unit:
    """A layer of a network, in the order in which layers run.

    `output` is without the batch. `params` counts the bias and the folded norm too, whose own
    counts are `bias_params` and `norm_params`. `settings` holds what the kind has: "kernel",
    "stride", "bias", "norm", "activation", "rate" and so on; None says that the source is silent.
    `start` are the first values of the weights and of the biases, where they were asked for.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    params: int = 0
    macs: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    bias_params: int = 0
    norm_params: int = 0
    start: Mapping[str, Spread] = field(default_factory=dict)

    @property
    def channels(self) -> int | None:
        """Maps, or values of a vector."""
        return self.output[0] if self.output else None

    @property
    def map(self) -> tuple[int, ...]:
        """Height and width, empty behind the last map."""
        return self.output[1:] if len(self.output) == 3 else ()


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two networks. `input` is (C, H, W), None where the source does not say it.

    `silent` says what could not be read from this source, a sentence each; `doubts` say where it
    contradicts itself.
    """

    name: str
    source: str
    input: tuple[int, ...] | None
    units: tuple[Unit, ...]
    silent: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def params(self) -> int:
        """Trainable values."""
        return sum(unit.params for unit in self.units)

    @property
    def macs(self) -> int:
        """Multiply-adds of one forward pass of one picture."""
        return sum(unit.macs for unit in self.units)
