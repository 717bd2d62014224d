"""What a folder of checkpoints loses: what is proved damaged, nothing that cannot be read now."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
from dataclasses import asdict

import pytest
import torch
from torch import nn

from convarium.errors import InputError, StoppedError
from convarium.machine import Plan
from convarium.train import CheckpointSaved, Keeper, Training
from convarium.train import checkpoint as checkpoints
from convarium.train.checkpoint import newest
from convarium.train.position import Position
from train.conftest import small_net


@pytest.fixture
def folder(tmp_path):
    """Two checkpoints, behind steps 1 and 2."""
    keeper = Keeper(tmp_path, {"config": "c"})
    for step in (1, 2):
        assert keeper.save({"step": step}, {"model/w": torch.full((3,), float(step))}) == step
    keeper.wait()
    return tmp_path


def _files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
@pytest.mark.parametrize("what", ["_manifest", "sha256_of", "load_file"])
def test_what_cannot_be_read_now_is_left_as_it_is(folder, monkeypatch, what, number) -> None:
    def fails(path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    before = _files(folder)
    monkeypatch.setattr(checkpoints, what, fails)
    with pytest.raises(InputError, match=rf"step-0*2\.json cannot be read: {os.strerror(number)}"):
        newest(folder, print)
    assert _files(folder) == before
    monkeypatch.undo()
    assert newest(folder, print).about["at"]["step"] == 2


def test_a_file_that_safetensors_does_not_open_is_left_as_it_is(folder, monkeypatch) -> None:
    def fails(path) -> None:  # as it says of too many open files, too
        raise FileNotFoundError(f"No such file or directory: {path}")

    before = _files(folder)
    monkeypatch.setattr(checkpoints, "load_file", fails)
    with pytest.raises(InputError, match="cannot be read"):
        newest(folder, print)
    assert _files(folder) == before


def _cut_short(folder) -> None:
    path = folder / "step-000000002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def _no_tensors(folder) -> None:
    (folder / "step-000000002.safetensors").unlink()


def _no_json(folder) -> None:
    (folder / "step-000000002.json").write_text("{")


def _nested(folder) -> None:
    (folder / "step-000000002.json").write_text("[" * 100_000)


def _no_safetensors(folder) -> None:
    """A manifest that is true to tensors that are none."""
    (folder / "step-000000002.safetensors").write_bytes(b"none")
    manifest = folder / "step-000000002.json"
    about = json.loads(manifest.read_text())
    del about["check"]
    about["sha256"] = hashlib.sha256(b"none").hexdigest()
    _write(manifest, about)


def _write(manifest, about) -> None:
    check = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    manifest.write_text(json.dumps({**about, "check": check}))


@pytest.mark.parametrize("damage", [_cut_short, _no_tensors, _no_json, _nested, _no_safetensors])
def test_what_is_damaged_is_taken_away_and_told(folder, damage) -> None:
    damage(folder)
    told: list[str] = []
    assert newest(folder, told.append).about["at"]["step"] == 1
    assert len(told) == 1
    assert "step-000000002.json is damaged" in told[0]
    names = ["step-000000001.json", "step-000000001.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names


def test_another_version_is_left_as_it_is(folder) -> None:
    manifest = folder / "step-000000002.json"
    about = json.loads(manifest.read_text())
    del about["check"]
    _write(manifest, {**about, "schema": "convarium/checkpoint/2"})
    with pytest.raises(InputError, match=r"of another version \(convarium/checkpoint/2\)"):
        newest(folder, print)
    assert manifest.exists()


def test_numbers_that_are_not_finite_are_not_kept(folder) -> None:
    keeper = Keeper(folder, {})
    keeper.begin(2)
    before = _files(folder)
    assert keeper.save({"step": 3}, {"model/w": torch.tensor([1.0, torch.nan])}) == 2
    keeper.wait()
    assert _files(folder) == before


_START = asdict(Position())


@pytest.mark.parametrize(
    "change",
    [
        {"step": -1},
        {"batch": 1.5},
        {"batch": 5},
        {"seconds": float("nan")},
        {"micro_batch": 0},
        {"tally": [1.0]},
        {"errors": [float("inf")]},
    ],
)
def test_a_position_that_cannot_be_is_refused(change) -> None:
    assert Position.read(_START, 5) == Position()
    with pytest.raises(InputError, match="cannot be a run's"):
        Position.read({**_START, **change}, 5)


@pytest.mark.parametrize("change", [{"seconds": "long"}, {"curve": [{"epoch": 1}]}, {"errors": 3}])
def test_a_position_of_other_fields_is_of_another_version(change) -> None:
    with pytest.raises(InputError, match="of another version"):
        Position.read({**_START, **change}, 5)


class _Overflows(nn.Module):
    """Its buffer, which no answer comes from, is infinite from the call of that number on."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.call = call
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.call -= 1
        self.seen += torch.inf if self.call == 0 else 1
        return x


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (3, "Kept behind step 2; the same command continues."),
        (2, "Numbers behind step 2 are not finite and not kept; .* continues behind step 1."),
        (1, "Numbers behind step 2 are not finite and not kept; the same command starts anew."),
    ],
)
def test_a_stop_says_what_is_kept(bars, recipe, tmp_path, call, words) -> None:
    model = nn.Sequential(*small_net(), _Overflows(call))
    training = Training(model, bars, recipe, 0, Plan(1), keeper=Keeper(tmp_path, {}, steps=1))
    saved: list[int] = []
    with pytest.raises(StoppedError, match=words):
        _stop_behind(2, training, saved)
    assert saved == [step for step in (1, 2) if step < call]
    kept = newest(tmp_path, print)
    assert (kept.about["at"]["step"] if kept else None) == max(saved, default=None)


def _stop_behind(step: int, training: Training, saved: list[int]) -> None:
    for event in training.events():
        saved += [event.step] if isinstance(event, CheckpointSaved) else []
        if training.at.step == step:
            training.keeper.stop.on_signal(signal.SIGTERM, None)
