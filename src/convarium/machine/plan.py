"""How a network is run on this machine: threads, memory layout, precision, device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convarium.errors import UsageError
from convarium.machine.devices import sent, wait

LAYOUTS = ("contiguous", "channels_last")
PRECISIONS = ("fp32", "bf16")
MOST_THREADS = 1024  # a system that grants no more of them ends the process


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to run a network. Same seed and same plan give the same bits on one machine.

    `layout` is "contiguous" or "channels_last", `precision` "fp32" or "bf16" (autocast: weights
    stay float32), `chosen_by` says in words who decided. With `micro_batch`, a training step takes
    its batch in parts of at most so many pictures: batch norm sees the parts, the gradient is the
    whole batch's.
    """

    threads: int
    layout: str = "contiguous"
    precision: str = "fp32"
    chosen_by: str = "default"
    device: str = "cpu"
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= MOST_THREADS:
            raise UsageError(f"threads must be from 1 to {MOST_THREADS}, not {self.threads}.")
        if self.micro_batch is not None and self.micro_batch < 1:
            raise UsageError(f"the micro-batch must be at least 1, not {self.micro_batch}.")
        for what, value, known in (
            ("layout", self.layout, LAYOUTS),
            ("precision", self.precision, PRECISIONS),
        ):
            if value not in known:
                raise UsageError(f"{what} must be {' or '.join(known)}, not {value!r}.")

    def to_dict(self) -> dict[str, Any]:
        """As a record keeps it."""
        return asdict(self)

    @property
    def kind(self) -> str:
        """Of the device: "cuda" for "cuda:1"."""
        return self.device.partition(":")[0]

    def place(self, model: nn.Module) -> nn.Module:
        """Moves `model` (in place) to the device and lays its weights out."""
        return model.to(self.device).to(memory_format=self._format())

    def move(self, images: Tensor) -> Tensor:
        """(N, C, H, W) on the device, laid out as the network's weights are."""
        return sent(images, self.device).contiguous(memory_format=self._format())

    def wait(self) -> None:
        """Until the device has done what it was given: a clock reads nothing without."""
        wait(self.device)

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of the forward pass."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.kind, dtype=torch.bfloat16)

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Threads and deterministic kernels as the plan has them; put back behind the block.

        On a GPU, too, float32 is float32: TensorFloat-32, which torch takes for convolutions
        unless told otherwise, keeps 10 of its 23 bits.
        """
        threads = torch.get_num_threads()
        cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
        before = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, cublas.allow_tf32
        torch.set_num_threads(self.threads)
        cudnn.deterministic, cudnn.benchmark = True, False
        cudnn.allow_tf32 = cublas.allow_tf32 = False
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, cublas.allow_tf32 = before

    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.layout == "channels_last" else torch.contiguous_format


@contextmanager
def answering(*models: nn.Module) -> Iterator[None]:
    """Within, the networks are in eval mode and no gradients are kept; then as they were."""
    modes = {module: module.training for model in models for module in model.modules()}
    try:
        for model in models:
            with suppress(NotImplementedError):  # one of torch.export has its mode built in
                model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
