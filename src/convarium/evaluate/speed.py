"""Inference speed of several networks, measured in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convarium.machine import Plan, Timing, answering, interleaved

BATCH = 32


@dataclass(frozen=True, slots=True)
class InferenceSpeed:
    """`single` times one picture in seconds, `batched` a batch of `batch`."""

    single: Timing
    batched: Timing
    batch: int

    @property
    def ms_batch1(self) -> tuple[float, float, float]:
        """Milliseconds a picture at batch 1: median, first and third quartile."""
        one = self.single
        return one.median * 1e3, one.low * 1e3, one.high * 1e3

    @property
    def images_per_second(self) -> tuple[float, float, float]:
        """Pictures a second at `batch`: median, first and third quartile."""
        many = self.batched
        return self.batch / many.median, self.batch / many.high, self.batch / many.low


def time_inference(
    models: Mapping[str, tuple[nn.Module, Tensor, Plan]],
    *,
    seconds: float = 1.0,
    batch: int = BATCH,
) -> dict[str, InferenceSpeed]:
    """Times forward passes of each network, in turns; input and output stay on the device.

    Args:
        models: by name, the network, one picture (C, H, W) float32 and its plan. All plans have
            the same threads and device.
        seconds: a network and batch size, about.
        batch: pictures at once of the second timing.
    """
    if not models:
        return {}
    plans = [plan for _, _, plan in models.values()]
    with plans[0].settings(), answering(*(model for model, _, _ in models.values())):
        single = _times(models, 1, seconds)
        batched = _times(models, batch, seconds)
    return {name: InferenceSpeed(single[name], batched[name], batch) for name in models}


def _times(
    models: Mapping[str, tuple[nn.Module, Tensor, Plan]], batch: int, seconds: float
) -> dict[str, Timing]:
    tasks = {name: forward_pass(*parts, batch) for name, parts in models.items()}
    return interleaved(tasks, seconds=seconds * len(tasks), least=5, warmup=2)


def forward_pass(model: nn.Module, picture: Tensor, plan: Plan, batch: int) -> Callable[[], object]:
    """Asks `model`, in eval mode, about `batch` times one picture (C, H, W); returns when done."""
    plan.place(model)
    images = plan.move(picture.expand(batch, *picture.shape))

    def forward() -> None:
        with torch.inference_mode(), plan.autocast():
            model(images)
        plan.wait()

    return forward
