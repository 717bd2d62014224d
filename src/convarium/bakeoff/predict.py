"""What a trained network says of picture files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from convarium.bakeoff.trained import Trained
from convarium.machine import Plan, answering
from convarium.machine.describe import available_cores

BATCH = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """One picture: the likeliest classes with their probabilities, or why it cannot be read."""

    picture: Path
    top: tuple[tuple[str, float], ...]
    reason: str | None = None


def predict(trained: Trained, pictures: Sequence[Path], *, top: int = 5) -> Iterator[Answer]:
    """An answer a picture, in their order; a bad one costs the others nothing.

    Args:
        trained: the network.
        pictures: files.
        top: classes an answer, at most; all of them where there are fewer.

    Raises:
        InputError: the weights are not the network's.
    """
    plan = Plan(available_cores(), chosen_by="predict")
    model = plan.place(trained.load())
    for start in range(0, len(pictures), BATCH):
        chunk = pictures[start : start + BATCH]
        images, good, bad = trained.form.read(chunk)
        told: dict[Path, tuple[tuple[str, float], ...]] = {}
        if good:
            with answering(model), plan.settings():
                shares = model(plan.move(images)).float().softmax(1)
            told = {
                path: _top(row, trained.classes, top)
                for path, row in zip(good, shares, strict=True)
            }
        yield from (Answer(path, told.get(path, ()), bad.get(path)) for path in chunk)


def _top(shares: Tensor, classes: tuple[str, ...], count: int) -> tuple[tuple[str, float], ...]:
    """The likeliest classes of one picture, of its (classes,) probabilities."""
    values, places = shares.topk(min(count, len(classes)))
    return tuple((classes[i], p) for p, i in zip(values.tolist(), places.tolist(), strict=True))
