"""Which epoch is tested: the last, or the best by the validation part, as the recipe says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from convarium.machine import Plan
from convarium.train import CheckpointSaved, EpochDone, Keeper, RunFinished, Training
from convarium.train.checkpoint import newest
from convarium.train.position import exactness
from convarium.train.stepper import averaged
from convarium.train.world import World
from train.conftest import small_net


@pytest.fixture
def spoilt(recipe):
    """A rate that learns for two epochs and undoes it in the others."""
    return replace(
        recipe,
        epochs=4,
        validation=0.2,
        lr=0.05,
        warmup="none",
        schedule="rates 0.05 5.0 at 2 epochs",
    )


def _training(bars, recipe, folder=None) -> Training:
    torch.manual_seed(0)
    training = Training(small_net(), bars, recipe, 3, Plan(1))
    if folder is not None:
        about = {"config": "c", "exactness": exactness(Plan(1), World())}
        keeper = Keeper(folder, about, steps=1)
        training = replace(training, keeper=keeper, resume=newest(folder, print))
    return training


def _state(model) -> dict[str, torch.Tensor]:
    return {name: t.detach().clone() for name, t in model.state_dict().items()}


def _same(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("average", [None, 0.5])
def test_the_best_epoch_is_tested(bars, spoilt, average) -> None:
    last = _training(bars, replace(spoilt, average=average))
    states = []
    for event in last.events():
        if isinstance(event, EpochDone):
            with averaged(last.run):
                states.append(_state(last.run.model))
    errors = last.at.errors
    best = errors.index(min(errors))
    assert best < 3, "the last epoch is no longer the worse one"
    assert (event.tested_epoch, len(states)) == (None, 4)
    training = _training(bars, replace(spoilt, average=average, tested="best"))
    *_, finished = training.events()
    assert isinstance(finished, RunFinished)
    assert finished.tested_epoch == best + 1
    assert training.at.errors == errors
    assert _same(states[best], _state(training.model))
    assert not _same(_state(last.model), _state(training.model))


@pytest.mark.parametrize("cut", [5, 9, 13])
def test_a_run_that_goes_on_tests_the_same_epoch(bars, spoilt, tmp_path, cut) -> None:
    recipe = replace(spoilt, tested="best")
    whole = _training(bars, recipe)
    *_, finished = whole.events()
    first = _training(bars, recipe, tmp_path)
    for event in first.events():
        if isinstance(event, CheckpointSaved) and event.step == cut:
            first.keeper.wait()
            break
    second = _training(bars, recipe, tmp_path)
    *_, again = second.events()
    assert again.tested_epoch == finished.tested_epoch
    assert _same(_state(whole.model), _state(second.model))


def test_run_and_record_say_which_epoch_was_tested(trial) -> None:
    words = "lenet_caffe --epochs 2 --set validation=0.2"
    (last,) = trial(words, 1, out="last")
    (best,) = trial(f"{words} --set tested=best", 1, out="best")
    assert json.loads(last["out"])["result"]["tested_epoch"] is None
    told = json.loads(best["out"])["result"]
    errors = [point["error"] for point in told["curve"]]
    assert told["tested_epoch"] == errors.index(min(errors)) + 1
    assert "its best epoch by validation is tested" in best["err"]
    assert f"tested is epoch {told['tested_epoch']}, the best by validation." in best["err"]
    assert "by validation" not in last["err"]
