"""Speed and energy of the trained networks of a race, measured in turns at its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from convarium.bakeoff.entrant import SPEED, Entrant
from convarium.evaluate import InferenceSpeed, forward_pass, time_inference
from convarium.machine import Counter, Plan, answering, joules_per_pass
from convarium.records.model import Result
from convarium.train import load_own_weights

SECONDS = 0.7  # a network and batch size
Contender = tuple[nn.Module, Tensor, Plan]


def measure_speed(
    finished: list[tuple[Entrant, Result, Path]], counter: Counter | None = None
) -> list[Result]:
    """The results with inference times, images a second and, where a counter is, joules an image.

    Args:
        finished: each network with its result so far and its weights.
        counter: of energy; that of the results' device when None.
    """
    models = {result.model: _contender(*parts) for parts in finished for result in (parts[1],)}
    speeds = time_inference(models, seconds=SECONDS)
    devices = {plan.device for *_, plan in models.values()}
    counters = {device: counter or Counter(device=device) for device in devices}
    return [
        _with_speed(result, speeds[result.model], models[result.model], counters)
        for _, result, _ in finished
    ]


def _contender(entrant: Entrant, result: Result, weights: Path) -> Contender:
    model = entrant.model()
    load_own_weights(model, weights)
    plan = Plan(**result.plan)
    images = entrant.dataset.prepare(entrant.dataset.test.images([0]))
    return model, images[0], plan


def _with_speed(
    result: Result, speed: InferenceSpeed, contender: Contender, counters: dict[str, Counter]
) -> Result:
    ms, ms_low, ms_high = speed.ms_batch1
    rate, slow, fast = speed.images_per_second
    unavailable = {k: v for k, v in result.unavailable.items() if k not in SPEED}
    model, picture, plan = contender
    with plan.settings(), answering(model):
        run = forward_pass(model, picture, plan, speed.batch)
        joules, reason = joules_per_pass(run, counters[plan.device])
    unavailable.pop("joules_per_image", None)
    if joules is None:
        unavailable["joules_per_image"] = reason
    else:
        joules /= speed.batch
    measured: dict[str, Any] = {
        "ms_batch1": ms,
        "ms_batch1_spread": (ms_low, ms_high),
        "images_per_second": rate,
        "images_per_second_spread": (slow, fast),
    }
    return replace(result, **measured, joules_per_image=joules, unavailable=unavailable)
