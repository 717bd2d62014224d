"""Loss and right answers of an epoch, read from the device only now and then."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor

from convarium.errors import ConvariumError

READ_EVERY = 10  # steps between two readings of the loss


class DivergedError(ConvariumError):
    """The loss is no longer a number. `step` counts from 1."""

    def __init__(self, step: int, epoch: int, loss: float) -> None:
        self.step = step
        super().__init__(
            f"the loss is {loss} at step {step} (epoch {epoch}); the weights are lost. "
            "Lower the learning rate, clip the gradients, or train in fp32."
        )


class Tally:
    """What the steps of one epoch came to; `first_step` is the number of its first step."""

    def __init__(self, epoch: int, first_step: int) -> None:
        self.epoch, self.first_step = epoch, first_step
        self.samples = 0
        self._losses: list[Tensor] = []
        self._rights: list[Tensor] = []
        self._sizes: list[int] = []
        self._read: list[float] = []

    def add(self, loss: Tensor, right: Tensor, size: int) -> None:
        """One step's mean loss and number of right answers, both still on the device."""
        self._losses.append(loss)
        self._rights.append(right)
        self._sizes.append(size)
        self.samples += size

    def read(self, *, last: bool = False) -> float | None:
        """Mean loss of the steps since the last reading; None where it is not yet time.

        Raises:
            DivergedError: a loss among them is not a number; names the first such step.
        """
        begin = len(self._read)
        if not last and len(self._losses) - begin < READ_EVERY:
            return None
        losses = torch.stack(self._losses[begin:]).tolist() if self._losses[begin:] else []
        for place, loss in enumerate(losses):
            if not isfinite(loss):
                raise DivergedError(self.first_step + begin + place, self.epoch, loss)
        self._read += losses
        return sum(losses) / len(losses) if losses else None

    def means(self) -> tuple[float, float]:
        """Mean loss over the epoch's samples in nats, and the share of right answers."""
        self.read(last=True)
        loss = sum(a * b for a, b in zip(self._read, self._sizes, strict=True)) / self.samples
        return loss, int(torch.stack(self._rights).sum()) / self.samples
