"""A race with artificial numbers, made by formula, and real handwritten digits as its pictures."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import replace

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from convarium.records.model import EpochPoint, Mistake, Race, Result

LINE_UP = (
    "lenet5",
    "vgg_a_32px",
    "googlenet_32px",
    "resnet20_cifar",
    "densenet_40_12_cifar",
)
TEST_SIZE = 360
RECIPE = {
    "optimiser": "SGD, Nesterov",
    "lr": 0.05,
    "weight_decay": 5e-4,
    "batch": 32,
    "schedule": "warm-up 1 epoch, then linear to 0",
    "shift": [1, 2],
}


def wilson(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    share, below = correct / total, 1 + z * z / total
    middle = (share + z * z / (2 * total)) / below
    half = z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2) / below
    return middle - half, middle + half


def digit_picture(index: int) -> str:
    """A real digit of scikit-learn as a data address."""
    pixels = (load_digits().images[index] * 15.9375).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def confusion_of(correct: int, classes: int, total: int) -> tuple[tuple[int, ...], ...]:
    """Counts that sum to `total` with `correct` on the diagonal; errors fall on a neighbour."""
    counts = np.zeros((classes, classes), int)
    for picture in range(total):
        truth = picture % classes
        counts[truth, truth if picture < correct else (truth * 3 + 1 + picture % 2) % classes] += 1
    return tuple(tuple(int(n) for n in row) for row in counts)


def make_result(model: str, place: int, *, classes: int = 10, total: int = TEST_SIZE) -> Result:
    """Numbers of a smooth formula in `place`: nobody can take them for a measurement."""
    cost = (place * 4) % 9
    wrong = 19 - 2 * cost + (place % 3) * 2
    correct = max(0, total - wrong)
    low, high = wilson(correct, total)
    params = round(60_000 * 1.9 ** ((place * 5) % 9))
    milliseconds = 0.4 * 1.45 ** ((place * 7) % 9)
    return Result(
        model=model,
        status="done",
        seed=0,
        epochs=4 + place,
        top1_correct=correct,
        top1_total=total,
        top1_low=low,
        top1_high=high,
        top5_correct=min(total, correct + wrong - 1),
        params=params,
        macs=round(400_000 * 2.1**cost),
        megabytes=params * 4 / 1e6,
        train_seconds=8.0 + 4 * place,
        ms_batch1=milliseconds,
        ms_batch1_spread=(milliseconds * 0.97, milliseconds * 1.06),
        images_per_second=2000 / milliseconds,
        images_per_second_spread=(1900 / milliseconds, 2100 / milliseconds),
        peak_bytes=180_000_000 + 30_000_000 * place,
        joules_per_image=None,
        confusion=confusion_of(correct, classes, total),
        curve=tuple(_point(epoch, place) for epoch in range(1, 5 + place)),
        mistakes=tuple(
            Mistake(
                n * 7 + place, n % classes, (n + 3) % classes, 0.99 - 0.04 * n, digit_picture(n)
            )
            for n in range(8)
        ),
        recipe=RECIPE,
        plan={"threads": 2, "layout": "channels_last", "precision": "bf16", "chosen": "probe"},
        unavailable={"joules_per_image": "this machine has no energy counter"},
    )


def _point(epoch: int, place: int) -> EpochPoint:
    loss = 2.3 * math.exp(-(0.5 + 0.07 * place) * epoch) + 0.02 + 0.004 * place
    return EpochPoint(
        epoch, loss, 1 - 0.9 * math.exp(-(0.3 + 0.06 * place) * epoch), epoch * (1.2 + 0.4 * place)
    )


def make_race(models: tuple[str, ...] = LINE_UP, *, classes: tuple[str, ...] | None = None) -> Race:
    """Five of the default line-up on digits, unless told otherwise."""
    classes = classes or tuple("0123456789")
    results = [make_result(model, n, classes=len(classes)) for n, model in enumerate(models)]
    return Race(
        data="digits",
        classes=classes,
        train_size=1437,
        test_size=TEST_SIZE,
        side=32,
        channels=1,
        seed=0,
        command="convarium bakeoff --data digits --seed 0",
        started="2026-03-01T12:30:00+00:00",
        machine={
            "processor": "Example CPU at 2.4 GHz",
            "cores": 2,
            "memory": "8.0 GB",
            "system": "Linux 6.1",
            "versions": {"convarium": "0.1.0", "python": "3.11.7", "torch": "2.14.1"},
        },
        results=tuple(results),
        front_time=tuple(front(results, "ms_batch1")),
        front_size=tuple(front(results, "megabytes")),
        sentence="On the front of accuracy against milliseconds: "
        + ", ".join(front(results, "ms_batch1"))
        + "; against megabytes: "
        + ", ".join(front(results, "megabytes"))
        + ".",
    )


def front(results: list[Result], field: str) -> list[str]:
    """Networks that no other beats in both accuracy and `field`."""
    return [
        a.model
        for a in results
        if not any(
            b.top1_correct >= a.top1_correct
            and getattr(b, field) <= getattr(a, field)
            and (b.top1_correct, getattr(b, field)) != (a.top1_correct, getattr(a, field))
            for b in results
        )
    ]


def failed(result: Result, why: str) -> Result:
    """The result of a network whose training broke: nothing is known but its size."""
    gone = ("top1_correct", "top5_correct", "ms_batch1", "images_per_second", "train_seconds")
    return replace(
        result,
        status="failed",
        top1_correct=0,
        top1_total=0,
        top1_low=math.nan,
        top1_high=math.nan,
        top5_correct=0,
        confusion=(),
        curve=(),
        mistakes=(),
        peak_bytes=None,
        unavailable={**result.unavailable, **dict.fromkeys(gone, why), "peak_bytes": why},
    )


HOSTILE = (
    "</script><script>window.broken=1</script>",
    "<img src=x onerror=window.broken=1>",
    "<!--<script>",
    "\"><i onmouseover='window.broken=1'>",
    "{{ 7 * 7 }} & ${window.broken=1}",
)


def hostile_race() -> Race:
    """Names, addresses and words that would run or load something on a careless page."""
    race = make_race(("lenet5",), classes=HOSTILE)
    mistake = Mistake(0, 0, 1, 0.9, "https://example.org/x.png")
    result = replace(
        race.results[0],
        model=HOSTILE[3],
        mistakes=(mistake, replace(mistake, picture='x" onerror="window.broken=1')),
        recipe={HOSTILE[1]: HOSTILE[0]},
        plan={"note": HOSTILE[2]},
        unavailable={"joules_per_image": HOSTILE[1]},
    )
    return replace(
        race,
        data=HOSTILE[1],
        command=f"convarium bakeoff --data '{HOSTILE[0]}'",
        machine={"processor": HOSTILE[2]},
        results=(result,),
        sentence=HOSTILE[3],
    )
