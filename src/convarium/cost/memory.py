"""Predicted peak memory of inference and of training, in bytes that live at once.

One step runs on tensors without memory: forward pass, loss, backward pass, optimizer step, with
torch's own autograd and autocast deciding what is kept and for how long. A ledger counts the bytes
of every storage from its making to its end, kernels' own copies included (`cost.workspace`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from convarium.cost.workspace import cpu_workspace
from convarium.errors import ConvariumError, InputError, UsageError, unknown_name
from convarium.trace.arguments import tensors
from convarium.trace.ledger import Ledger
from convarium.trace.saved import SavedBytes
from convarium.trace.shells import META, shell
from convarium.trace.twin import twin_of


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
    moment's: "forward", "backward" or "step".
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

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as the command line prints them with --json."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Step:
    """How the network runs: training or not, with which optimizer and precision.

    Raises:
        UsageError: no such optimizer or precision.
    """

    training: bool = True
    optimizer: str | None = "sgd"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        if self.optimizer is not None and self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS)
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)


class _Optimizer(NamedTuple):
    """Tensors of a parameter's size that last, scalars that last, and such tensors for a moment."""

    states: int = 0
    scalars: int = 0
    moments: int = 0


# Source: torch.optim's plain loops (foreach=False, what torch takes on the CPU), no weight decay.
# Adam lasts exp_avg, exp_avg_sq and a float32 count; its denominator takes two tensors for a
# moment: (exp_avg_sq.sqrt() / sqrt(correction)).add_(eps).
OPTIMIZERS = {
    "sgd": _Optimizer(),
    "momentum": _Optimizer(states=1),
    "adam": _Optimizer(states=2, scalars=4, moments=2),
}
PRECISIONS = ("fp32", "bf16")


def memory_of(
    model: nn.Module,
    input_size: tuple[int, ...],
    *,
    name: str,
    batch_size: int = 1,
    step: Step = Step(),
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
        InputError: the forward pass fails, or reads a value.
    """
    if batch_size < 1 or min(input_size, default=0) < 1:
        size = "x".join(map(str, (batch_size, *input_size)))
        raise UsageError(f"a picture of {size} is empty; every side and the batch must be >= 1.")
    run = _Run(
        model, (batch_size, *input_size), step, mode or ("train" if step.training else "eval")
    )
    with torch.random.fork_rng(devices=[]):
        run.execute()
    return MemoryReport(
        name=name,
        input_size=tuple(input_size),
        batch_size=batch_size,
        training=step.training,
        optimizer=step.optimizer if step.training else None,
        precision=step.precision,
        inputs_bytes=_distinct(run.inputs),
        params_bytes=run.params_bytes,
        buffers_bytes=_distinct(run.model.buffers()),
        gradients_bytes=run.gradients_bytes,
        optimizer_bytes=run.optimizer_bytes,
        activations_bytes=sum(run.kept.values()),
        peak_bytes=run.ledger.peak,
        phase=run.ledger.peak_phase,
        rows=tuple(KeptRow(*key, nbytes) for key, nbytes in run.kept.items()),
    )


def kept_bytes(model: nn.Module, shape: tuple[int, ...], mode: str) -> dict[tuple[str, int], int]:
    """What autograd keeps of one forward pass, in bytes, by row name and call; no loss.

    Args:
        model: any module that takes one picture.
        shape: of that picture, with the batch: (N, C, H, W).
        mode: "train" or "eval".

    Raises:
        InputError: the forward pass fails, or reads a value.
    """
    run = _Run(model, shape, Step(optimizer=None), mode)
    with torch.random.fork_rng(devices=[]):
        return run.keep()


class _Run:
    """One step on a twin of the model, and what it needed."""

    def __init__(self, model: nn.Module, shape: tuple[int, ...], step: Step, mode: str) -> None:
        self.model = twin_of(model).train(mode == "train")
        self.step = step
        labels = torch.empty(shape[0], dtype=torch.int64, device=META)
        pictures = torch.empty(shape, device=META)
        self.inputs = [shell(pictures)] + ([shell(labels)] if step.training else [])
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        apart = [*self.model.parameters(), *self.model.buffers(), *self.inputs]
        self._saved = SavedBytes(self.model, apart)
        self.ledger = Ledger(cpu_workspace, self._saved.met if step.training else None)
        for value in apart:
            self.ledger.hold(value)
        self.params_bytes = _distinct(self.model.parameters())
        self.gradients_bytes = _distinct(self.trained) if step.training else 0
        rule = OPTIMIZERS[step.optimizer] if step.training and step.optimizer else _Optimizer()
        self._moment = rule.moments * max(map(_bytes, self.trained), default=0)
        self.optimizer_bytes = sum(rule.states * _bytes(p) + rule.scalars for p in self.trained)
        self.ledger.live += self.optimizer_bytes
        self.kept: dict[tuple[str, int], int] = {}

    def execute(self) -> None:
        """Runs the step; the ledger then knows the peak."""
        self.ledger.phase = "forward"
        with self.ledger, _told(self._saved, self.model, self.inputs[0]):
            if not self.step.training:
                self._infer()
                return
            loss = self._train()
            if loss.requires_grad:
                self.kept = self._saved.rows()
                self.ledger.phase = "backward"
                torch.autograd.backward(loss, inputs=self.trained)
            self.ledger.phase = "step"
            self.ledger.reach(self.ledger.live + self._moment)

    def keep(self) -> dict[tuple[str, int], int]:
        """Runs the forward pass alone; see `kept_bytes`."""
        with self.ledger, _told(self._saved, self.model, self.inputs[0]), self._saved.watch():
            outputs = self.model(self.inputs[0])
            kept = self._saved.rows()
            del outputs
        return kept

    def _infer(self) -> None:
        with torch.no_grad(), self._saved.watch(saving=False), self._autocast():
            self.model(self.inputs[0])

    def _train(self) -> Tensor:
        picture, labels = self.inputs
        with torch.enable_grad(), self._saved.watch(), self._autocast():
            return _loss(self.model(picture), labels)

    def _autocast(self) -> torch.autocast:
        half = self.step.precision == "bf16"
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=half)


def _loss(outputs: Any, labels: Tensor) -> Tensor:
    """Cross-entropy of logits (N, classes), the sum of anything else; added up."""
    logits = [t for t in tensors(outputs) if t.is_floating_point()]
    losses = [cross_entropy(t, labels) if t.dim() == 2 else t.float().sum() for t in logits]
    if not losses:
        raise InputError("the network gives no tensor of floating point to train on.")
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()


@contextmanager
def _told(saved: SavedBytes, model: nn.Module, picture: Tensor) -> Iterator[None]:
    """Turns what the step raises into one sentence with the module's path."""
    try:
        yield
    except ConvariumError:
        raise
    except Exception as error:
        where = f" in {saved.path}" if saved.path else ""
        size = "x".join(map(str, picture.shape))
        cause = " ".join(str(error).split())
        kind = type(model).__name__
        raise InputError(f"{kind}{where} cannot run on a picture of {size}: {cause}") from error


def _distinct(values: Any) -> int:
    """Bytes of the storages of `values`, shared ones once."""
    storages = {s._cdata: s.nbytes() for s in (t.untyped_storage() for t in values)}
    return sum(storages.values())


def _bytes(value: Tensor) -> int:
    return value.element_size() * value.numel()
