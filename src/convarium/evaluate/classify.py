"""Top-1 and top-5, confusion and worst mistakes of a network on one split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convarium.data import Split
from convarium.evaluate.wilson import wilson_interval
from convarium.machine import Plan, answering


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong answer. `index` is the picture's place in the split."""

    index: int
    truth: int
    predicted: int
    probability: float  # the network's own, of its answer


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a network made of a split.

    `confusion` has a row per truth and a column per answer; `probabilities` is (N, classes)
    float32, rows sum to 1; `mistakes` are all wrong answers, the most confident first.
    """

    top1_correct: int
    top5_correct: int
    total: int
    confusion: tuple[tuple[int, ...], ...]
    probabilities: Tensor
    mistakes: tuple[Wrong, ...]

    @property
    def top1_interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the top-1 share."""
        return wilson_interval(self.top1_correct, self.total)


def evaluate(
    model: nn.Module,
    split: Split,
    *,
    prepare: Callable[[Tensor], Tensor],
    plan: Plan,
    batch: int = 64,
) -> Evaluation:
    """Asks `model` about every picture of `split`, once each.

    Args:
        model: gives logits (N, classes); its training mode is put back.
        split: with as many classes as logits, or fewer.
        prepare: uint8 pictures -> float32 input; `Dataset.prepare`.
        plan: threads, layout and precision of the forward pass.
        batch: pictures at once.
    """
    parts = []
    with answering(plan.place(model)), plan.settings():
        for indices in torch.arange(len(split)).split(batch):
            images = plan.move(prepare(split.images(indices)))
            with plan.autocast():
                logits = model(images)
            parts.append(logits.float().softmax(1).cpu())
    return _summary(torch.cat(parts), split.labels)


def _summary(probabilities: Tensor, labels: Tensor) -> Evaluation:
    classes = probabilities.shape[1]
    ranked = probabilities.topk(min(5, classes), dim=1).indices
    confidence, answers = probabilities.max(1)
    hits = ranked == labels[:, None]
    counts = torch.bincount(labels * classes + answers, minlength=classes * classes)
    wrong = (answers != labels).nonzero().flatten()
    worst = wrong[confidence[wrong].argsort(descending=True, stable=True)]
    return Evaluation(
        top1_correct=int((answers == labels).sum()),
        top5_correct=int(hits.any(1).sum()),
        total=len(labels),
        confusion=tuple(tuple(row) for row in counts.view(classes, classes).tolist()),
        probabilities=probabilities,
        mistakes=tuple(
            Wrong(index, int(labels[index]), int(answers[index]), float(confidence[index]))
            for index in worst.tolist()
        ),
    )
