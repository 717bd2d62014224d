"""Speed and energy of the trained networks of a race, measured in turns at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convarium.bakeoff.entrant import SPEED, Entrant
from convarium.evaluate import InferenceSpeed, time_inference
from convarium.machine import Counter, Plan
from convarium.records.model import Result
from convarium.train import load_own_weights

SECONDS = 0.7  # a network and batch size
ENERGY_BATCHES = 20
Contender = tuple[nn.Module, Tensor, Plan]


def measure_speed(
    finished: list[tuple[Entrant, Result, Path]], counter: Counter | None = None
) -> list[Result]:
    """The results with inference times, images a second and, where a counter is, joules an image.

    Args:
        finished: each network with its result so far and its weights.
        counter: of energy; the machine's own when None.
    """
    counter = counter or Counter()
    models = {result.model: _contender(*parts) for parts in finished for result in (parts[1],)}
    speeds = time_inference(models, seconds=SECONDS)
    return [
        _with_speed(result, speeds[result.model], models[result.model], counter)
        for _, result, _ in finished
    ]


def _contender(entrant: Entrant, result: Result, weights: Path) -> Contender:
    model = entrant.model()
    load_own_weights(model, weights)
    plan = Plan(**result.plan)
    images = entrant.dataset.prepare(entrant.dataset.test.images([0]))
    return model, images[0], plan


def _with_speed(
    result: Result, speed: InferenceSpeed, contender: Contender, counter: Counter
) -> Result:
    ms, ms_low, ms_high = speed.ms_batch1
    rate, slow, fast = speed.images_per_second
    unavailable = {k: v for k, v in result.unavailable.items() if k not in SPEED}
    joules, reason = _joules_per_image(contender, counter, speed.batch)
    unavailable.pop("joules_per_image", None)
    if joules is None:
        unavailable["joules_per_image"] = reason
    measured: dict[str, Any] = {
        "ms_batch1": ms,
        "ms_batch1_spread": (ms_low, ms_high),
        "images_per_second": rate,
        "images_per_second_spread": (slow, fast),
    }
    return replace(result, **measured, joules_per_image=joules, unavailable=unavailable)


def _joules_per_image(
    contender: Contender, counter: Counter, batch: int
) -> tuple[float | None, str]:
    """Joules an image over some batches; None and the reason where no counter can be read."""
    if not counter.sources:
        return None, counter.reason
    model, picture, plan = contender
    forward = _forward(model, plan.move(picture.expand(batch, *picture.shape)), plan)
    with plan.settings(), torch.inference_mode():
        forward()
        with counter.measure() as energy:
            for _ in range(ENERGY_BATCHES):
                forward()
    if energy.joules is None:
        return None, energy.reason
    return energy.joules / (ENERGY_BATCHES * batch), ""


def _forward(model: nn.Module, images: Tensor, plan: Plan) -> Callable[[], object]:
    plan.place(model).eval()

    def forward() -> None:
        with plan.autocast():
            model(images)
        if plan.device == "cuda":
            torch.cuda.synchronize()

    return forward
