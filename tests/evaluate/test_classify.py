"""Counts, confusion and mistakes of answers that are known beforehand; and speed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convarium.data import Split
from convarium.data.model import InMemory
from convarium.evaluate import evaluate, time_inference
from convarium.machine import Plan

# Six classes; a picture's six pixels are its logits. Truths, and what each picture says.
TRUTHS = (0, 1, 2, 3, 4, 5)
LOGITS = (
    (9, 0, 0, 0, 0, 0),  # right
    (0, 9, 1, 0, 0, 0),  # right
    (8, 0, 1, 2, 3, 0),  # 0 instead of 2, sure; among the first five
    (0, 1, 2, 0, 5, 3),  # 4 instead of 3, less sure; last of six with class 0
    (1, 2, 3, 4, 0, 5),  # 5 instead of 4, not sure; last of six
    (0, 0, 0, 0, 0, 2),  # right
)


class Reads(nn.Module):
    """Gives its input's values as logits."""

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        return x.flatten(1)


@pytest.fixture
def split() -> Split:
    pixels = torch.tensor(LOGITS, dtype=torch.uint8).view(6, 1, 1, 6)
    names = tuple(str(index) for index in range(6))
    return Split(torch.tensor(TRUTHS), names, InMemory(pixels), torch.arange(6))


@pytest.fixture
def result(split):
    return evaluate(Reads(), split, prepare=Tensor.float, plan=Plan(1), batch=4)


def test_counts(result) -> None:
    assert (result.top1_correct, result.total) == (3, 6)
    assert 4 <= result.top5_correct <= 5  # picture 3 has 0 twice: either may be the sixth


def test_confusion_has_a_row_per_truth(result) -> None:
    expected = [[0] * 6 for _ in range(6)]
    for truth, answer in zip(TRUTHS, (0, 1, 0, 4, 5, 5), strict=True):
        expected[truth][answer] += 1
    assert [list(row) for row in result.confusion] == expected


def test_probabilities_are_the_softmax(result) -> None:
    expected = torch.tensor(LOGITS, dtype=torch.float64).softmax(1)
    torch.testing.assert_close(result.probabilities.double(), expected, rtol=0, atol=1e-6)


def test_the_surest_mistake_comes_first(result) -> None:
    assert [(w.index, w.truth, w.predicted) for w in result.mistakes] == [
        (2, 2, 0),
        (3, 3, 4),
        (4, 4, 5),
    ]
    sure = float(torch.tensor(LOGITS[2], dtype=torch.float64).softmax(0)[0])
    assert result.mistakes[0].probability == pytest.approx(sure, abs=1e-6)


def test_the_interval_holds_the_share(result) -> None:
    low, high = result.top1_interval
    assert low < 0.5 < high
    assert low + high == pytest.approx(1)  # symmetric about one half


def test_the_batch_does_not_matter(split, result) -> None:
    for batch in (1, 6, 100):
        other = evaluate(Reads(), split, prepare=Tensor.float, plan=Plan(1), batch=batch)
        assert torch.equal(other.probabilities, result.probabilities)


def test_the_mode_is_put_back(split) -> None:
    model = Reads().train()
    evaluate(model, split, prepare=Tensor.float, plan=Plan(1))
    assert model.training


def test_fewer_than_five_classes_are_all_in_the_first_five() -> None:
    pixels = torch.tensor([[1, 0], [0, 1]], dtype=torch.uint8).view(2, 1, 1, 2)
    two = Split(torch.tensor([1, 1]), ("a", "b"), InMemory(pixels), torch.arange(2))
    result = evaluate(Reads(), two, prepare=Tensor.float, plan=Plan(1))
    assert (result.top1_correct, result.top5_correct) == (1, 2)


def test_a_larger_network_is_slower_and_modes_are_put_back() -> None:
    picture, plan = torch.rand(3, 16, 16), Plan(1)
    nets = {
        "small": nn.Sequential(nn.Conv2d(3, 2, 1)),
        "large": nn.Sequential(nn.Conv2d(3, 64, 3), *[nn.Conv2d(64, 64, 3) for _ in range(4)]),
    }
    speeds = time_inference(
        {name: (net, picture, plan) for name, net in nets.items()}, seconds=0.05
    )
    assert speeds["small"].ms_batch1[0] < speeds["large"].ms_batch1[0]
    median, low, high = speeds["large"].images_per_second
    assert 0 < low <= median <= high
    assert median == pytest.approx(32 / speeds["large"].batched.median)
    assert all(module.training for net in nets.values() for module in net.modules())
