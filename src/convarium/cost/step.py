"""One step of a network, forward pass to optimizer, on tensors that cost nothing, and its ledger.

It runs on tensors without memory that say they are on the CPU. A forward pass that reads a value
cannot: it then runs on torch's fake tensors, and last for real on a copy, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.functional import cross_entropy

from convarium.cost.workspace import cpu_workspace
from convarium.errors import ConvariumError, InputError, unknown_name
from convarium.trace.arguments import tensors_in
from convarium.trace.attempts import WAYS, fake_tensors, first_way, of_some_kind
from convarium.trace.caches import let_go
from convarium.trace.keepsake import Members
from convarium.trace.ledger import Ledger, RealLedger
from convarium.trace.saved import SavedBytes
from convarium.trace.shells import CPU, META, Shell, shell, shell_like
from convarium.trace.tracer import TraceError
from convarium.trace.twin import twin_of

_Got = TypeVar("_Got")


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
    """Tensors of a parameter's size that last, scalars that last, and such tensors for a moment.

    `lingers` are those of a moment that live until the next parameter has its own.
    """

    states: int = 0
    scalars: int = 0
    moments: int = 0
    lingers: int = 0

    def moment(self, sizes: Sequence[int]) -> int:
        """The most bytes for a moment, of a loop over parameters of these bytes."""
        pairs = zip((0, *sizes), sizes, strict=False)
        return max((self.lingers * b + self.moments * a for b, a in pairs), default=0)


# Source: torch.optim's plain loops (foreach=False, what torch takes on the CPU), no weight decay.
# Adam lasts exp_avg, exp_avg_sq and a float32 count; its denominator takes two tensors for a
# moment: denom = (exp_avg_sq.sqrt() / sqrt(correction)).add_(eps), while the loop's variable still
# holds the one before.
OPTIMIZERS = {
    "sgd": _Optimizer(),
    "momentum": _Optimizer(states=1),
    "adam": _Optimizer(states=2, scalars=4, moments=2, lingers=1),
}
PRECISIONS = ("fp32", "bf16")
TRAINING = Step()


class StepRun:
    """One step on a twin of the model, and what it needed.

    Args:
        model: any module that takes one picture.
        shape: of that picture, with the batch: (N, C, H, W).
        step: what to run.
        mode: of the forward pass, "train" or "eval".
        way: "meta" for tensors without memory, "fake" for torch's fake ones (inside their mode),
            "cpu" for real ones.
        kind: type of the picture's values.
    """

    def __init__(
        self,
        model: nn.Module,
        shape: tuple[int, ...],
        step: Step,
        mode: str,
        way: str = "meta",
        *,
        kind: torch.dtype = torch.float32,
    ) -> None:
        bare = way == "meta"
        self.model = twin_of(model, shell_like if bare else _real_like)
        with suppress(NotImplementedError):  # one of torch.export has its mode built in
            self.model.train(mode == "train")
        self.step = step
        self.inputs = [_zeros(shape, kind, bare=bare)]
        if step.training:
            self.inputs.append(_zeros(shape[:1], torch.int64, bare=bare))
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        apart = [*self.model.parameters(), *self.model.buffers(), *self.inputs]
        self._saved = SavedBytes(self.model, apart)
        ledger = Ledger if bare else RealLedger
        met = self._saved.met if step.training else None
        self.ledger = ledger(cpu_workspace, met, half=step.precision == "bf16")
        for value in apart:
            self.ledger.hold(value)
        self.gradients_bytes = distinct_bytes(self.trained) if step.training else 0
        rule = OPTIMIZERS[step.optimizer] if step.training and step.optimizer else _Optimizer()
        self._moment = rule.moment([p.nbytes for p in self.trained])
        self.optimizer_bytes = sum(rule.states * p.nbytes + rule.scalars for p in self.trained)
        self.ledger.live += self.optimizer_bytes
        self.kept: dict[tuple[str, int], int] = {}

    def execute(self) -> StepRun:
        """Runs the step; the ledger then knows the peak."""
        self.ledger.phase = "forward"
        with self.ledger, _told(self._saved):
            if not self.step.training:
                self._infer()
                return self
            loss = self._train()
            if loss.requires_grad:
                self.kept = self._saved.rows()
                self.ledger.phase = "backward"
                torch.autograd.backward(loss)
            self.ledger.phase = "step"
            self.ledger.reach(self.ledger.live + self._moment)
        return self

    def keep(self) -> dict[tuple[str, int], int]:
        """Runs the forward pass alone: what autograd keeps of it, by row name and call."""
        with self.ledger, _told(self._saved), self._saved.watch(), self._autocast():
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


def run_anyhow(
    use: Callable[[StepRun], _Got], model: nn.Module, shape: tuple[int, ...], step: Step, mode: str
) -> tuple[_Got, str]:
    """What `use` gives of a run in the first way that works, and that way: see `first_way`.

    The arguments are those of `StepRun`; `use` keeps nothing of the run.

    Raises:
        InputError: the step fails in all ways.
    """

    ledgers: list[tuple[str, Ledger]] = []

    def attempt(way: str, _: Members) -> _Got:
        def one(kind: torch.dtype) -> _Got:
            run = StepRun(model, shape, step, mode, way, kind=kind)
            ledgers.append((way, run.ledger))
            return use(run)

        with fake_tensors() if way == "fake" else nullcontext():
            return of_some_kind(one, model)

    def behind() -> None:
        for way in {way for way, ledger in ledgers if ledger.holds} & _VALUELESS.keys():
            let_go(_VALUELESS[way])
        ledgers.clear()

    return first_way(attempt, model, shape, WAYS, behind)


# Tensors of a run that can serve no other.
_VALUELESS: dict[str, Callable[[Any], bool]] = {
    "meta": lambda value: type(value) is Shell,
    "fake": lambda value: issubclass(type(value), FakeTensor),
}


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, *, bare: bool) -> Tensor:
    return (
        shell(torch.empty(shape, dtype=dtype, device=META))
        if bare
        else torch.zeros(shape, dtype=dtype, device=CPU)
    )


def _real_like(value: Tensor) -> Tensor:
    """A copy on the CPU, which is fake inside a mode of fake tensors; zeros for one of "meta"."""
    if value.device.type == "meta" or isinstance(torch.empty(0, device=CPU), FakeTensor):
        twin = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=CPU)
        twin.zero_()
    else:
        twin = value.detach().to(CPU, copy=True)
    return twin.requires_grad_(value.requires_grad)


def _loss(outputs: Any, labels: Tensor) -> Tensor:
    """Cross-entropy of logits (N, classes), the sum of anything else; added up."""
    logits = [t for t in tensors_in(outputs) if t.is_floating_point()]
    losses = [
        cross_entropy(t, labels) if t.dim() == 2 and len(t) == len(labels) else t.float().sum()
        for t in logits
    ]
    if not losses:
        raise InputError("the network gives no tensor of floating point to train on.")
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()


@contextmanager
def _told(saved: SavedBytes) -> Iterator[None]:
    """Adds the path of the module that ran to what the step raises."""
    try:
        yield
    except ConvariumError:
        raise
    except (Exception, SystemExit) as error:
        raise TraceError(saved.path) from error


def distinct_bytes(values: Any) -> int:
    """Bytes of the storages of `values`, shared ones once."""
    storages = {s._cdata: s.nbytes() for s in (t.untyped_storage() for t in values)}
    return sum(storages.values())
