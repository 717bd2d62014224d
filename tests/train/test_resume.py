"""A run that is cut off anywhere and goes on ends in the bits of one that is not."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
import torch

from convarium.data.counter import order
from convarium.errors import ExhaustedError, StoppedError
from convarium.machine import Plan
from convarium.train import CheckpointSaved, Keeper, Resumed, StepDone, Training
from convarium.train.checkpoint import newest
from convarium.train.position import exactness
from convarium.train.samples import Samples
from convarium.train.world import World
from train.conftest import small_net

MODES = {
    "fp32": Plan(1),
    "bf16": Plan(1, "channels_last", "bf16"),
    "accumulation": Plan(1, micro_batch=5),
}
ON_GPU = {
    "gpu": Plan(1, device="cuda"),
    "gpu bf16": Plan(1, "channels_last", "bf16", device="cuda"),
    "gpu accumulation": Plan(1, micro_batch=5, device="cuda"),
}


def _training(dataset, recipe, plan, folder=None, **more) -> Training:
    torch.manual_seed(0)
    training = Training(small_net(), dataset, recipe, 3, plan, **more)
    if folder is not None:
        about = {"config": "c", "exactness": exactness(plan, World())}
        found = newest(folder, print)
        training = replace(training, keeper=Keeper(folder, about, steps=1), resume=found)
    return training


def _bits(model) -> dict[str, torch.Tensor]:
    return {name: t.detach().clone() for name, t in model.state_dict().items()}


def _same(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def full(recipe):
    """Dropout, batch norm, momentum, a Polyak mean and a plateau by validation."""
    return replace(
        recipe,
        epochs=3,
        shift_px=1,
        mirror=True,
        average=0.9,
        validation=0.2,
        schedule="plateau 0.1 patience 1 times 3",
    )


@pytest.mark.parametrize("mode", MODES)
def test_six_random_cuts_leave_the_bits_alone(bars, full, mode, tmp_path) -> None:
    _cut_six_times(bars, full, MODES[mode], tmp_path)


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ON_GPU)
def test_six_random_cuts_on_a_gpu_leave_the_bits_alone(bars, full, mode, tmp_path) -> None:
    _cut_six_times(bars, full, ON_GPU[mode], tmp_path)


def _cut_six_times(bars, full, plan, tmp_path) -> None:
    whole = _training(bars, full, plan)
    events = list(whole.events())
    expected, total = _bits(whole.model), whole.at.step
    for cut in random.Random(repr(plan)).sample(range(1, total), 6):
        folder = tmp_path / str(cut)
        first = _training(bars, full, plan, folder)
        for event in first.events():
            if isinstance(event, CheckpointSaved) and event.step == cut:
                first.keeper.wait()
                break
        second = _training(bars, full, plan, folder)
        told = list(second.events())
        resumed = next(event for event in told if isinstance(event, Resumed))
        assert (resumed.step, resumed.exact) == (cut, True)
        assert _same(expected, _bits(second.model))
        assert second.at.errors == whole.at.errors
        losses = [event.loss for event in whole.at.curve]
        assert [event.loss for event in second.at.curve] == losses
    assert events


def test_a_corrupt_newest_falls_back_and_says_so(bars, full, tmp_path, capsys) -> None:
    list(_training(bars, full, Plan(1), tmp_path).events())
    last = max(tmp_path.glob("*.safetensors"))
    raw = bytearray(last.read_bytes())
    raw[-1] ^= 1
    last.write_bytes(raw)
    found = newest(tmp_path, print)
    assert f"step-{found.about['at']['step']:09}" < last.stem
    assert capsys.readouterr().out.count("is damaged") == 1


def test_a_run_that_is_only_looked_at_keeps_its_damaged_checkpoints(bars, full, tmp_path) -> None:
    list(_training(bars, full, Plan(1), tmp_path).events())
    max(tmp_path.glob("*.json")).write_text("{}")
    before = sorted(tmp_path.iterdir())
    assert newest(tmp_path, print, clear=False) is not None
    assert sorted(tmp_path.iterdir()) == before


def test_a_changed_manifest_does_not_count(bars, full, tmp_path) -> None:
    list(_training(bars, full, Plan(1), tmp_path).events())
    manifest = max(tmp_path.glob("*.json"))
    about = json.loads(manifest.read_text())
    about["at"]["step"] += 1
    manifest.write_text(json.dumps(about))
    assert newest(tmp_path, print).about["at"]["step"] < about["at"]["step"] - 1


def test_two_newest_and_the_best_are_kept(bars, full, tmp_path) -> None:
    training = _training(bars, full, Plan(1), tmp_path)
    list(training.events())
    steps = {int(path.stem.split("-")[1]) for path in tmp_path.glob("*.json")}
    last = training.at.step
    assert steps == {last - 1, last, training.at.best_step}


def test_other_threads_are_approximate(bars, full, tmp_path) -> None:
    _cut_at(3, _training(bars, full, Plan(1), tmp_path))
    told = list(_training(bars, full, Plan(2), tmp_path).events())
    resumed = next(event for event in told if isinstance(event, Resumed))
    assert not resumed.exact
    assert resumed.changed == {"threads": ("1", "2")}


def test_a_signal_stops_behind_a_checkpoint(bars, full, tmp_path) -> None:
    import signal

    training = _training(bars, full, Plan(1), tmp_path)
    events = training.events()
    next(events)
    next(events)  # the first step
    training.keeper.stop.on_signal(signal.SIGUSR1, None)
    with pytest.raises(StoppedError, match=r"SIGUSR1.*behind step 1"):
        list(events)
    assert newest(tmp_path, print).about["at"]["step"] == 1


def test_a_resume_in_mid_epoch_makes_no_view_that_was_made(
    bars, full, tmp_path, monkeypatch
) -> None:
    """So it starts at once, wherever in the epoch."""
    _cut_at(6, _training(bars, full, Plan(1), tmp_path))
    second = _training(bars, full, Plan(1), tmp_path)
    asked: list[tuple[int, list[int]]] = []
    own = Samples.of

    def of(samples: Samples, ids: torch.Tensor, epoch: int):
        asked.append((epoch, ids.tolist()))
        return own(samples, ids, epoch)

    monkeypatch.setattr(Samples, "of", of)
    next(event for event in second.events() if isinstance(event, StepDone))
    # 56 pictures in batches of 16 make 4 steps an epoch: step 7 is the third of the second.
    assert asked == [(2, order(3, 2, 56)[32:48].tolist())]


def test_a_micro_batch_that_is_asked_for_at_a_resume_counts(
    bars, full, tmp_path, monkeypatch
) -> None:
    """As behind a kill for want of memory, which no process can tell of itself."""
    _cut_at(2, _training(bars, full, Plan(1), tmp_path))
    second = _training(bars, full, Plan(1, micro_batch=6), tmp_path)
    sizes: list[int] = []
    own = Samples.of

    def of(samples: Samples, ids: torch.Tensor, epoch: int):
        sizes.append(len(ids))
        return own(samples, ids, epoch)

    monkeypatch.setattr(Samples, "of", of)
    told = list(second.events())
    resumed = next(event for event in told if isinstance(event, Resumed))
    assert resumed.changed == {"micro_batch": ("None", "6")}
    # 56 pictures are batches of 16, 16, 16 and 8, of which the first two are behind.
    assert sizes == [6, 6, 4, 6, 2, *[6, 6, 4, 6, 6, 4, 6, 6, 4, 6, 2] * 2]


def test_a_full_disk_keeps_the_checkpoint_before(bars, full, tmp_path, monkeypatch) -> None:
    import errno

    from convarium.train import checkpoint

    _cut_at(3, _training(bars, full, Plan(1), tmp_path))

    def no_room(*_args, **_more) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", no_room)
    with pytest.raises(ExhaustedError, match="No space left"):
        list(_training(bars, full, Plan(1), tmp_path).events())
    monkeypatch.undo()
    assert newest(tmp_path, print).about["at"]["step"] == 3


def _cut_at(step: int, training: Training) -> None:
    for event in training.events():
        if isinstance(event, CheckpointSaved) and event.step == step:
            training.keeper.wait()
            return
