"""A network's price at one input size: rows that add up exactly to the totals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from convarium.cost.macs import count_macs
from convarium.trace import TraceRow, trace


@dataclass(frozen=True, slots=True)
class CostRow:
    """One call of a leaf, or of an operator outside any leaf.

    `activation_bytes` are those of its outputs at the report's batch size; `receptive_field` is a
    side in input pixels, None where the row sees the whole picture.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    params: int
    macs: int
    activation_bytes: int
    receptive_field: int | None


@dataclass(frozen=True, slots=True)
class CostReport:
    """What `measure_cost` gives. `macs` are multiply-adds, FLOPs are twice that.

    `status` is "exact", or "lower_bound" when an operator without a formula was met: its name is
    then in `unknown_ops`. `mode` is the forward pass that was traced, "train" or "eval".
    """

    name: str
    input_size: tuple[int, ...]
    batch_size: int
    mode: str
    params: int
    macs: int
    status: str
    unknown_ops: tuple[str, ...]
    rows: tuple[CostRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as the command line prints them with --json."""
        return asdict(self)


def cost_of(
    model: nn.Module,
    input_size: tuple[int, ...],
    *,
    name: str,
    batch_size: int = 1,
    training: bool = False,
    device: str = "meta",
) -> CostReport:
    """Traces `model` once at (batch, *input_size) and prices every row."""
    rows = trace_module(model, input_size, batch_size=batch_size, training=training, device=device)
    unknown: dict[str, None] = {}
    priced = tuple(_price(row, unknown) for row in rows)
    return CostReport(
        name=name,
        input_size=tuple(input_size),
        batch_size=batch_size,
        mode="train" if training else "eval",
        params=sum(row.params for row in priced),
        macs=sum(row.macs for row in priced),
        status="lower_bound" if unknown else "exact",
        unknown_ops=tuple(unknown),
        rows=priced,
    )


def trace_module(
    model: nn.Module,
    input_size: tuple[int, ...],
    *,
    batch_size: int = 1,
    training: bool = False,
    device: str = "meta",
) -> list[TraceRow]:
    """Rows of `model` at one size, in train or eval mode; each submodule's own mode is put back."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.train(training)
        return trace(model, torch.empty(batch_size, *input_size, device=device))
    finally:
        for module, mode in modes.items():
            module.training = mode


def _price(row: TraceRow, unknown: dict[str, None]) -> CostRow:
    macs = 0
    for op in row.ops:
        count = count_macs(op)
        if count is None:
            unknown[op.name] = None
        macs += count or 0
    return CostRow(
        name=row.name,
        kind=row.kind,
        output_shape=row.output_shape,
        params=row.params,
        macs=macs,
        activation_bytes=row.output_bytes,
        receptive_field=row.receptive_field,
    )
