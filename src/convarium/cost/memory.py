"""Predicted peak memory of inference and of training, in bytes that live at once.

One step runs on tensors without memory: forward pass, loss, backward pass, optimizer step, with
torch's own autograd and autocast deciding what is kept and for how long. A ledger counts the bytes
of every storage from its making to its end, kernels' own copies included (`cost.workspace`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from convarium.cost.step import TRAINING, Step, StepRun, distinct_bytes, run_anyhow


@dataclass(frozen=True, slots=True)
class KeptRow:
    """Bytes that autograd keeps because of one call of a leaf, or of an operator outside any."""

    name: str
    call: int
    kept_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What `predict_memory` gives, in bytes.

    `activations_bytes` are what autograd keeps between forward and backward pass, each storage
    once, without parameters, buffers and inputs; `rows` say which call keeps them and add up to
    them. `peak_bytes` is the most that lives at one moment, parameters and all, and `phase` that
    moment's: "forward", "backward" or "step". `traced_on` is "meta" where tensors had no memory;
    "fake" or "cpu" where the network reads a value, see `convarium.cost.step`.
    """

    name: str
    input_size: tuple[int, ...]
    batch_size: int
    training: bool
    optimizer: str | None
    precision: str
    inputs_bytes: int
    params_bytes: int
    buffers_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    peak_bytes: int
    phase: str
    rows: tuple[KeptRow, ...]
    traced_on: str = "meta"

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as the command line prints them with --json."""
        return asdict(self)


def memory_of(
    model: nn.Module,
    input_size: tuple[int, ...],
    *,
    name: str,
    batch_size: int = 1,
    step: Step = TRAINING,
    mode: str | None = None,
) -> MemoryReport:
    """Runs one step of `model` at (batch, *input_size) without memory, on the CPU's terms.

    A training step is the second one, when the optimizer's state exists and gradients are None:
    `cross_entropy(model(x), y).backward()`, then the optimizer. Outputs that are no (N, classes)
    are summed instead; of several outputs the losses add up.

    Args:
        model: any module that takes one picture; its tensors are neither copied nor changed.
        input_size: (C, H, W).
        name: for the report.
        batch_size: pictures at once.
        step: training or inference, optimizer and precision.
        mode: of the forward pass, "train" or "eval"; follows `step` when None.

    Raises:
        UsageError: the picture is empty.
        InputError: the forward pass fails.
    """
    shape = (batch_size, *input_size)
    mode = mode or ("train" if step.training else "eval")

    def told(run: StepRun) -> MemoryReport:
        return _report(run.execute(), name, input_size, batch_size)

    report, way = run_anyhow(told, model, shape, step, mode)
    return replace(report, traced_on=way)


def _report(run: StepRun, name: str, input_size: tuple[int, ...], batch_size: int) -> MemoryReport:
    step = run.step
    return MemoryReport(
        name=name,
        input_size=tuple(input_size),
        batch_size=batch_size,
        training=step.training,
        optimizer=step.optimizer if step.training else None,
        precision=step.precision,
        inputs_bytes=distinct_bytes(run.inputs),
        params_bytes=distinct_bytes(run.model.parameters()),
        buffers_bytes=distinct_bytes(run.model.buffers()),
        gradients_bytes=run.gradients_bytes,
        optimizer_bytes=run.optimizer_bytes,
        activations_bytes=sum(run.kept.values()),
        peak_bytes=run.ledger.peak,
        phase=run.ledger.peak_phase,
        rows=tuple(KeptRow(*key, nbytes) for key, nbytes in run.kept.items()),
    )


def kept_bytes(
    model: nn.Module, shape: tuple[int, ...], mode: str, precision: str = "fp32"
) -> dict[tuple[str, int], int]:
    """What autograd keeps of one forward pass, in bytes, by row name and call; no loss.

    Args:
        model: any module that takes one picture.
        shape: of that picture, with the batch: (N, C, H, W).
        mode: "train" or "eval".
        precision: "fp32", or "bf16" under autocast.

    Raises:
        InputError: the forward pass fails.
    """
    step = Step(optimizer=None, precision=precision)
    return run_anyhow(StepRun.keep, model, shape, step, mode)[0]
