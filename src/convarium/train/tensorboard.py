"""Training events as a TensorBoard log, an extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convarium.errors import MissingExtraError
from convarium.train.events import EpochDone, Event, StepDone


class Board:
    """Writes what a training tells into a folder that TensorBoard reads.

    Losses, rates and gradient norms by step, as often as they are read; loss, accuracy, speed and
    the validation error by epoch.
    """

    def __init__(self, folder: Path) -> None:
        """Opens the log.

        Raises:
            MissingExtraError: tensorboard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("--tensorboard needs tensorboard", "tensorboard") from error
        self._writer: Any = SummaryWriter(str(folder))

    def listen(self, event: Event) -> None:
        """Takes one event in."""
        if isinstance(event, StepDone) and event.loss is not None:
            self._write(event.step, {"step/loss": event.loss, "step/lr": event.lr})
            norms = event.grad_norms or {}
            self._write(event.step, {f"gradient/{name}": norm for name, norm in norms.items()})
        elif isinstance(event, EpochDone):
            told = {"loss": event.loss, "train_top1": event.train_top1, "error": event.error}
            told["images_per_second"] = event.images_per_second
            self._write(event.epoch, {f"epoch/{name}": value for name, value in told.items()})

    def close(self) -> None:
        """Puts everything on disk."""
        self._writer.close()

    def _write(self, step: int, values: dict[str, float | None]) -> None:
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)
