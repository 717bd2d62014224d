"""Milliseconds of a forward pass that is not run: its operators, priced by the calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from convarium.cost.latency.calls import Call, calls_of, odd_kind
from convarium.cost.latency.model import LatencyModel
from convarium.trace import TraceRow, trace_anyhow


@dataclass(frozen=True, slots=True)
class RowTime:
    """Predicted milliseconds of one row of the trace."""

    name: str
    kind: str
    ms: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """A forward pass in milliseconds; the rows add up to it.

    `macs` are those that the model prices, `strangers` the families and operators that were not
    calibrated: they are charged as their next of kin.
    """

    name: str
    batch_size: int
    ms: float
    macs: int
    rows: tuple[RowTime, ...]
    strangers: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        return asdict(self)


def predict(
    net: nn.Module,
    input_size: tuple[int, ...],
    model: LatencyModel,
    *,
    name: str,
    batch_size: int = 1,
) -> Prediction:
    """What a forward pass in eval mode will take; nothing is run.

    Raises:
        InputError: the network cannot take pictures of that size.
    """
    rows, _ = trace_anyhow(net, (batch_size, *input_size))
    return priced(rows, model, name=name, batch_size=batch_size)


def priced(
    rows: Sequence[TraceRow], model: LatencyModel, *, name: str, batch_size: int
) -> Prediction:
    """The same from a trace's rows."""
    calls = [calls_of(row) for row in rows]
    flat: list[Call] = [call for group in calls for call in group]
    seconds = iter(model.seconds(flat).tolist())
    times = [sum(next(seconds) for _ in group) for group in calls]
    strangers = dict.fromkeys(call.family for call in flat if not model.knows(call))
    strangers |= dict.fromkeys(odd for row in rows for op in row.ops if (odd := odd_kind(op)))
    return Prediction(
        name=name,
        batch_size=batch_size,
        ms=1e3 * sum(times),
        macs=sum(call.macs for call in flat),
        rows=tuple(
            RowTime(row.name, row.kind, 1e3 * time) for row, time in zip(rows, times, strict=True)
        ),
        strangers=tuple(strangers),
    )
