"""Loss and right answers of an epoch, read from the device only now and then."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor

from convarium.errors import ConvariumError
from convarium.train.diagnose import LayerOutput
from convarium.train.watch import NormTally
from convarium.train.world import World

READ_EVERY = 10  # steps between two readings of the loss


class DivergedError(ConvariumError):
    """The loss is no longer a number. `step` and `epoch` count from 1."""

    def __init__(self, step: int, epoch: int, loss: float, where: str = "") -> None:
        self.step, self.epoch, self.loss = step, epoch, loss
        self.ids: list[int] = []  # of the step's batch
        self.names: list[str] = []
        self.layers: list[LayerOutput] = []  # what each layer gives on it
        super().__init__(
            f"the loss is {loss} at step {step} (epoch {epoch}); the weights are lost. {where}"
            "Lower the learning rate, clip the gradients, or train in fp32."
        )


class Tally:
    """What the steps of one epoch came to; `first_step` is the number of its next step."""

    def __init__(
        self,
        epoch: int,
        first_step: int,
        world: World | None = None,
        stages: Sequence[str] = (),
    ) -> None:
        self.norms = NormTally(list(stages))
        self.epoch, self.first_step = epoch, first_step
        self.samples = 0
        self._loss = 0.0  # sum over the samples that were read
        self._right = 0
        self._world = world or World()
        self._unread: list[tuple[Tensor, Tensor, int]] = []

    def add(self, loss: Tensor, right: Tensor, size: int) -> None:
        """One step's mean loss and number of right answers, both still on the device."""
        self._unread.append((loss, right, size))
        self.samples += size

    def read(self, *, last: bool = False) -> float | None:
        """Mean loss of the steps since the last reading; None where it is not yet time.

        Raises:
            DivergedError: a loss among them is not a number; names the first such step.
        """
        if not self._unread or (not last and len(self._unread) < READ_EVERY):
            return None
        pairs = [torch.stack([loss.double(), right.double()]) for loss, right, _ in self._unread]
        rows = self._world.total(torch.stack(pairs)).tolist()
        for place, (loss, _) in enumerate(rows):
            if not isfinite(loss):
                raise DivergedError(self.first_step + place, self.epoch, loss)
        for (loss, right), (_, _, size) in zip(rows, self._unread, strict=True):
            self._loss += loss * size
            self._right += round(right)
        self.norms.read()
        self.first_step += len(rows)
        self._unread.clear()
        return float(sum(loss for loss, _ in rows) / len(rows))

    def means(self) -> tuple[float, float]:
        """Mean loss over the epoch's samples in nats, and the share of right answers."""
        self.read(last=True)
        return self._loss / self.samples, self._right / self.samples

    def kept(self) -> list[float]:
        """What a checkpoint needs of it: samples, sum of losses, right answers, gradient norms.

        Raises:
            DivergedError: as `read`.
        """
        self.read(last=True)
        return [self.samples, self._loss, self._right, *self.norms.kept()]

    def restore(self, kept: list[float] | None) -> None:
        """Goes on from what `kept` gave, if anything was kept."""
        if kept is None:
            return
        samples, self._loss, right, *norms = kept
        self.norms.restore(norms)
        self.samples, self._right = round(samples), round(right)
