"""`convarium train` killed, without rights, or without a picture: nothing finished is lost."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convarium.bakeoff.folder import alone_in
from convarium.cli import main
from convarium.data import load_dataset
from convarium.data.counter import order
from convarium.train.checkpoint import manifests_config
from convarium.train.position import pictures_of
from train.conftest import Trial

STEPS = 12  # two epochs of six batches
WORDS = "lenet_caffe --epochs 2 --checkpoint-steps 2 --set average=0.9"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="rights are given up by capset")


def _last(folder: Path) -> bytes:
    return (folder / "last.safetensors").read_bytes()


def _assert_refused(end: dict[str, Any], code: int, *words: str) -> None:
    """One sentence at the end of stderr, and no traceback."""
    assert end["code"] == code, end
    assert "Traceback" not in end["err"]
    assert end["out"] == ""
    said = end["err"].strip().splitlines()[-1]
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    "draw", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 6))]
)
def test_a_real_kill_at_a_random_step_leaves_the_bits_alone(trial: Trial, tmp_path, draw) -> None:
    at = random.Random(draw).randrange(5, STEPS + 1)  # behind the second checkpoint's start
    (whole,) = trial(WORDS, 1, out="whole")
    assert whole["code"] == 0, whole
    (cut,) = trial(WORDS, 1, out="cut", signal=[0, signal.SIGKILL, at])
    assert cut["code"] == -signal.SIGKILL
    assert not (tmp_path / "cut" / "last.safetensors").exists()
    shutil.copytree(tmp_path / "cut", tmp_path / "copied")
    # Goes on in its own folder, and in another one from a path.
    ways = {"cut": "auto", "elsewhere": str(tmp_path / "copied")}
    for out, resume in ways.items():
        (end,) = trial(f"{WORDS} --resume {resume}", 1, out=out)
        assert end["code"] == 0, end
        told = json.loads(end["out"])
        assert told["exact"] is True
        # A checkpoint every two steps; the thread that writes may not have got to the last one.
        assert told["resumed_from_step"] in (2 * ((at - 1) // 2), 2 * ((at - 1) // 2) - 2)
        assert _last(tmp_path / out) == _last(tmp_path / "whole")


@LINUX
def test_a_folder_without_rights_is_refused_in_a_sentence(trial: Trial, tmp_path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    (end,) = trial(WORDS, 1, out="closed/run", ordinary=True)
    _assert_refused(end, 3, "closed/run cannot be written: Permission denied. Choose another --out")


@LINUX
@pytest.mark.parametrize("closed", [pytest.param("checkpoints", marks=pytest.mark.slow), "."])
def test_a_folder_that_loses_its_rights_keeps_what_it_has(trial: Trial, tmp_path, closed) -> None:
    (whole,) = trial(WORDS, 1, out="whole")
    assert whole["code"] == 0, whole
    folder = tmp_path / "run" / closed
    (end,) = trial(WORDS, 1, ordinary=True, close=[str(folder), 6])
    _assert_refused(end, 3, "cannot be written: Permission denied. Choose another folder.")
    folder.chmod(0o755)
    (again,) = trial(WORDS, 1, ordinary=True)
    assert again["code"] == 0, again
    assert json.loads(again["out"])["resumed_from_step"] >= 2
    assert _last(tmp_path / "run") == _last(tmp_path / "whole")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
@pytest.mark.parametrize("place", ["/proc/run", "a file/run"])
def test_a_place_that_holds_no_folder_is_refused_in_a_sentence(
    trial: Trial, tmp_path, place
) -> None:
    (tmp_path / "a file").write_text("")
    (end,) = trial("lenet_caffe --epochs 1", 1, out=place)
    _assert_refused(end, 3, f"{place} cannot be written", "Choose another --out")


@pytest.mark.parametrize(
    "count", [9, *(pytest.param(n, marks=pytest.mark.slow) for n in (*range(1, 9), *range(10, 40)))]
)
def test_a_disk_full_from_some_write_on_costs_no_checkpoint(trial: Trial, tmp_path, count) -> None:
    (whole,) = trial(WORDS, 1, out="whole")
    (full,) = trial(WORDS, 1, no_space_at=count)
    assert full["code"] in (0, 5), full
    before = manifests_config(tmp_path / "run" / "checkpoints")
    if full["code"]:
        _assert_refused(full, 5, "No space left on device")
    (again,) = trial(WORDS, 1)
    assert again["code"] == whole["code"] == 0, again
    told = json.loads(again["out"])
    assert told["resumed_from_step"] > 0 or before is None
    assert _last(tmp_path / "run") == _last(tmp_path / "whole")


def test_what_a_kill_left_among_the_checkpoints_is_cleared_up(trial: Trial, tmp_path) -> None:
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    left = [".step-000000001.safetensors.0123abcd", ".step-000000001.json.0123abcd"]
    left.append("step-000000001.safetensors")  # the manifest did not come any more
    for name in left:
        (folder / name).write_bytes(b"half")
    (end,) = trial(WORDS, 1)
    assert end["code"] == 0, end
    kept = {path.name for path in folder.iterdir()}
    assert kept == {f"step-{n:09}.{kind}" for n in (10, 12) for kind in ("json", "safetensors")}


def test_a_second_training_in_the_folder_is_refused(trial: Trial, tmp_path) -> None:
    with alone_in(tmp_path / "run"):
        (end,) = trial(WORDS, 1)
    _assert_refused(end, 2, "another run is busy in", "run. Wait, or choose another --out")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("--seed 1", "differs in seed."),
        ("--set lr=0.001", "differs in recipe, length or the weights to start from."),
        ("--epochs 3", "differs in recipe, length or the weights to start from."),
    ],
)
def test_another_training_in_its_folder_is_refused_and_told_why(
    trial: Trial, tmp_path, change, words
) -> None:
    (stopped,) = trial(WORDS, 1, signal=[0, signal.SIGTERM, 5])
    assert stopped["code"] == 75, stopped
    before = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    (end,) = trial(f"{WORDS} {change}", 1)
    _assert_refused(end, 2, words, "Choose another --out, or start over with --resume never.")
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == before


def test_other_weights_to_start_from_are_another_training(trial: Trial, tmp_path) -> None:
    for seed in "12":
        (first,) = trial(f"{WORDS} --seed {seed} --epochs 1", 1, out=seed)
        assert first["code"] == 0, first
    words = {seed: f"{WORDS} --init-from {tmp_path / seed}" for seed in "12"}
    (stopped,) = trial(words["1"], 1, signal=[0, signal.SIGTERM, 5])
    assert stopped["code"] == 75, stopped
    for other in (words["2"], WORDS):
        (end,) = trial(other, 1)
        _assert_refused(end, 2, "the weights to start from. Choose another --out")
    (end,) = trial(words["1"], 1)
    assert json.loads(end["out"])["resumed_from_step"] == 5
    (end,) = trial(words["2"], 1)  # what is finished is another's, too
    _assert_refused(end, 2, "the weights to start from. Choose another --out")


def _draw_pictures(folder: Path, kind: str = "png", seed: int = 0, count: int = 40) -> None:
    """Two classes of `count` grey pictures with a bright half each."""
    noise = np.random.default_rng(seed).integers(0, 60, (2, count, 32, 32), dtype=np.uint8)
    for label, name in enumerate(("left", "right")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        noise[label, :, :, 16 * label : 16 * label + 16] += 150
        for number, pixels in enumerate(noise[label]):
            Image.fromarray(pixels).save(folder / name / f"{number:02}.{kind}")


@pytest.mark.parametrize("seed", [0, 1])
def test_other_pixels_under_the_same_names_and_sizes_are_no_exact_resume(
    trial: Trial, tmp_path, seed
) -> None:
    """A BMP of so many pixels has so many bytes, whatever it shows."""
    pictures = tmp_path / "pictures"
    _draw_pictures(pictures, "bmp", count=110)
    (stopped,) = trial(WORDS, 1, data=pictures, signal=[0, signal.SIGTERM, 3])
    assert stopped["code"] == 75, stopped
    _draw_pictures(pictures, "bmp", seed, count=110)
    (end,) = trial(WORDS, 1, data=pictures)
    assert end["code"] == 0, end
    assert json.loads(end["out"])["exact"] is (seed == 0)
    assert ("approximate: pictures " in end["err"]) is (seed == 1)


def test_exchanged_pictures_on_disk_are_no_exact_resume(tmp_path, monkeypatch, capsys) -> None:
    """What would not fit into memory is told apart by its files' bytes, not by their times."""
    monkeypatch.setattr("convarium.data.load.MEMORY_BOUND", 0)
    pictures = tmp_path / "pictures"
    _draw_pictures(pictures, "bmp", count=110)
    words = ["train", "lenet5", "--data", str(pictures), "--epochs", "1", "--threads", "1"]
    assert main([*words, "--out", str(tmp_path / "first"), "--checkpoint-steps", "2"]) == 0
    for seed, said in ((0, "to the same bits"), (1, "approximate: pictures ")):
        _draw_pictures(pictures, "bmp", seed, count=110)
        capsys.readouterr()
        again = ["--out", str(tmp_path / f"again{seed}"), "--resume", str(tmp_path / "first")]
        assert main([*words, *again]) == 0
        assert said in capsys.readouterr().err


def test_the_checksum_of_pictures_on_disk_is_that_of_their_files(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("convarium.data.load.MEMORY_BOUND", 0)
    _draw_pictures(tmp_path, "bmp", count=4)
    each = [zlib.crc32(path.read_bytes()) for path in sorted(tmp_path.rglob("*.bmp"))]
    whole = zlib.crc32(b"".join(one.to_bytes(4, "little") for one in each))
    assert pictures_of(load_dataset(str(tmp_path))) == {"pictures": f"{whole:08x}"}


def test_a_picture_that_vanishes_in_mid_epoch_is_named_and_the_run_goes_on(
    trial: Trial, tmp_path
) -> None:
    pictures = tmp_path / "pictures"
    _draw_pictures(pictures)
    (whole,) = trial(WORDS, 1, out="whole", data=pictures, whole=True)
    assert whole["code"] == 0, whole
    # 64 pictures to train on, four steps an epoch: step 7 is the third of the second epoch.
    train = load_dataset(str(pictures), side=28).train
    assert len(train) == 64
    name = train.names[int(order(0, 2, 64)[32])]
    gone = pictures / name
    kept = gone.read_bytes()
    (end,) = trial(WORDS, 1, data=pictures, whole=True, remove=[str(gone), 6])
    _assert_refused(end, 3, "1 picture cannot be read", f"{gone}: ")
    gone.write_bytes(kept)
    (again,) = trial(WORDS, 1, data=pictures, whole=True)
    assert again["code"] == 0, again
    assert json.loads(again["out"])["resumed_from_step"] in (4, 6)
    assert _last(tmp_path / "run") == _last(tmp_path / "whole")
