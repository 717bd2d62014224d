"""The loop: it learns, it repeats to the bit, and it tells what it does."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convarium.data.augment import Window, windows
from convarium.data.counter import order
from convarium.errors import UsageError
from convarium.evaluate import evaluate
from convarium.machine import Plan
from convarium.train import EpochDone, RunFinished, RunStarted, StepDone, fit
from convarium.train.optimizers import make_optimizer
from convarium.train.step import train_step
from convarium.train.stepper import batch_ranges
from convarium.train.tally import DivergedError
from train.conftest import small_net


def _trained(dataset, recipe, plan, *, seed=0, start=0, **limits):
    torch.manual_seed(start)
    model = small_net()
    events = list(fit(model, dataset, recipe, seed=seed, plan=plan, **limits))
    return model, events


def _equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_it_learns(bars, recipe, plan) -> None:
    model, _ = _trained(bars, recipe, plan)
    result = evaluate(model, bars.test, prepare=bars.prepare, plan=plan)
    assert result.top1_correct == 20


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_the_same_seed_gives_the_same_bits(bars, recipe, precision, layout) -> None:
    recipe, plan = replace(recipe, epochs=2, shift_px=1), Plan(1, layout, precision)
    first, events = _trained(bars, recipe, plan)
    torch.rand(100)  # the caller's generator does not matter
    second, again = _trained(bars, recipe, plan)
    assert _equal(first, second)
    losses = [event.loss for event in events if isinstance(event, EpochDone)]
    assert losses == [event.loss for event in again if isinstance(event, EpochDone)]


def test_another_seed_gives_other_weights(bars, recipe, plan) -> None:
    recipe = replace(recipe, epochs=1)
    assert not _equal(*(_trained(bars, recipe, plan, seed=seed)[0] for seed in (0, 1)))


def test_the_callers_generator_and_threads_are_left_alone(bars, recipe, plan) -> None:
    model, threads = small_net(), torch.get_num_threads()
    before = torch.get_rng_state()
    for _ in fit(model, bars, replace(recipe, epochs=1), seed=0, plan=Plan(threads + 1)):
        assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), before)


def test_it_equals_a_hand_written_loop(bars, recipe, plan) -> None:
    recipe = replace(recipe, epochs=2, shift_px=1, clip=0.5)
    torch.manual_seed(0)
    ours = small_net()
    ours[4] = nn.Identity()  # masks are drawn from the step's own generator
    theirs = copy.deepcopy(ours)
    list(fit(ours, bars, recipe, seed=3, plan=plan))

    weights = list(theirs.parameters())
    momenta = [torch.zeros_like(w) for w in weights]
    done, total = 0, 2 * 5  # 70 pictures make 5 batches of up to 16
    for epoch in (1, 2):
        ids = torch.from_numpy(order(3, epoch, 70))
        for part in ids.split(16):
            rise = 0.25  # a quarter of the run, where the warm-up would be longer
            p = done / total
            lr = 0.05 * (p / rise if p < rise else (1 - p) / (1 - rise))
            pictures, window = bars.train.images(part), Window(8, shift_px=1)
            views = windows(pictures, part, window, seed=3, epoch=epoch)
            loss = F.cross_entropy(theirs(bars.scale(views)), bars.train.labels[part])
            gradients = torch.autograd.grad(loss, weights)
            norm = torch.sqrt(sum(g.square().sum() for g in gradients))
            factor = min(1.0, 0.5 / float(norm))
            with torch.no_grad():
                for w, g, m in zip(weights, gradients, momenta, strict=True):
                    step = g * factor + 5e-4 * w
                    m.mul_(0.9).add_(step)
                    w.sub_(lr * (step + 0.9 * m))
            done += 1
    for a, b in zip(ours.parameters(), weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_events_tell_the_run(bars, recipe, plan) -> None:
    _, events = _trained(bars, replace(recipe, epochs=3), plan)
    assert events[0] == RunStarted(70, 5, 3, 15, None)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [event.step for event in steps] == list(range(1, 16))
    assert [event.epoch for event in steps] == [1] * 5 + [2] * 5 + [3] * 5
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert [event.epoch for event in epochs] == [1, 2, 3]
    assert all(0 <= event.train_top1 <= 1 and event.images_per_second > 0 for event in epochs)
    assert isinstance(events[-1], RunFinished)
    assert (events[-1].epochs, events[-1].steps) == (3, 15)
    seconds = [event.seconds for event in events[1:]]
    assert seconds == sorted(seconds)


def test_the_epochs_loss_and_share_are_the_samples_mean(bars, recipe, plan) -> None:
    class Fixed(nn.Module):
        """Logits that no training moves: class 0 is always likeliest."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = torch.tensor([2.0, 0.0, 0.0, 0.0]).expand(len(x), 4)
            return logits + 0 * self.unused

    events = list(fit(Fixed(), bars, replace(recipe, epochs=1), seed=0, plan=plan))
    epoch = next(event for event in events if isinstance(event, EpochDone))
    share = int((bars.train.labels == 0).sum()) / 70
    # -log softmax of (2, 0, 0, 0) is log(e^2 + 3) less 2 or less 0.
    log_sum = float(torch.logsumexp(torch.tensor([2.0, 0.0, 0.0, 0.0]), 0))
    assert epoch.train_top1 == pytest.approx(share)
    assert epoch.loss == pytest.approx(log_sum - 2 * share, rel=1e-5)


def test_the_consumers_time_is_not_counted(bars, recipe, plan) -> None:
    import time

    seconds = 0.0
    begin = time.perf_counter()
    for event in fit(small_net(), bars, replace(recipe, epochs=1), seed=0, plan=plan):
        time.sleep(0.05)
        seconds = getattr(event, "seconds", 0.0)
    assert seconds <= time.perf_counter() - begin - 8 * 0.05


def test_minutes_end_the_run_and_the_rate(bars, recipe, plan) -> None:
    _, events = _trained(bars, recipe, plan, minutes=0.3 / 60)
    assert events[0] == RunStarted(70, 5, None, None, 0.3 / 60)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert events[-1].seconds >= 0.3
    assert steps[-1].seconds - (steps[-2].seconds if len(steps) > 1 else 0) <= events[-1].seconds
    assert steps[-1].lr <= max(event.lr for event in steps)


@pytest.mark.parametrize(
    "limits", [{"epochs": 2, "minutes": 1}, {"epochs": 0}, {"minutes": 0}, {"minutes": -1}]
)
def test_limits_that_cannot_be(bars, recipe, plan, limits) -> None:
    with pytest.raises(UsageError, match="epochs"):
        fit(small_net(), bars, recipe, seed=0, plan=plan, **limits)


def test_a_loss_that_is_no_number_names_its_step(bars, recipe, plan) -> None:
    class Breaks(nn.Module):
        """Its third forward pass in train mode gives NaN."""

        def __init__(self) -> None:
            super().__init__()
            self.net, self.calls = small_net(), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return self.net(x) * (float("nan") if self.calls == 3 else 1)

    with pytest.raises(DivergedError, match=r"nan at step 3 \(epoch 1\)") as caught:
        list(fit(Breaks(), bars, recipe, seed=0, plan=plan))
    assert caught.value.step == 3


def test_auxiliary_heads_weigh_three_tenths(recipe, plan) -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(3, 2))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(x + row for row in self.bias)

    model = Heads()
    optimizer = make_optimizer(model, recipe)
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([1])
    loss, right = train_step(model, optimizer, x, y, recipe=recipe, plan=plan)
    one = float(F.cross_entropy(x, y))
    assert float(loss) == pytest.approx(1.6 * one)
    assert int(right) == 0


@pytest.mark.parametrize(("size", "batch"), [(1437, 32), (33, 32), (32, 32), (7, 32), (65, 32)])
def test_every_sample_is_in_one_batch_and_none_is_alone(size, batch) -> None:
    ranges = batch_ranges(size, batch)
    assert [i for first, last in ranges for i in range(first, last)] == list(range(size))
    assert all(last - first > 1 for first, last in ranges)
