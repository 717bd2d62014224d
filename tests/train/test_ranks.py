"""Two processes and more: the same samples, the same weights, the same bits, and their faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from convarium.errors import UsageError
from convarium.train.launch import Place, _own_gpus, place_of
from convarium.train.world import World
from train.conftest import PLAIN

TESTS = Path(__file__).resolve().parents[1]
SLOW = pytest.mark.slow


def _weights(tmp_path: Path, out: str) -> dict[str, torch.Tensor]:
    return load_file(tmp_path / out / "last.safetensors")


def _assert_fine(ends: list[dict[str, Any]]) -> None:
    assert [end["code"] for end in ends] == [0] * len(ends), ends


def _assert_near(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Sums in another order: a few units in the last place of float32 at each of few steps."""
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(
            tensor, other[name], rtol=1e-4, atol=2e-5, msg=partial("{}: {}".format, name)
        )


@SLOW
def test_worlds_of_1_2_and_4_see_the_same_samples_at_each_step(trial, tmp_path) -> None:
    seen = {}
    for size in (1, 2, 4):
        ends = trial("lenet_caffe --epochs 1", size, out=f"w{size}", record=str(tmp_path))
        _assert_fine(ends)
        parts = [(tmp_path / f"{size}-{rank}").read_text().splitlines() for rank in range(size)]
        steps: dict[int, list[int]] = {}
        for line in [line for part in parts for line in part]:
            step, ids = json.loads(line)
            if step == 0:  # the first values are scaled by what pictures give
                continue
            steps.setdefault(step, []).extend(ids)
        seen[size] = steps
    assert len(seen[1]) == 6
    assert seen[1] == seen[2] == seen[4]
    assert sorted(chain(*(seen[1][step] for step in range(1, 7)))) == list(range(96))


@pytest.mark.parametrize(
    "words",
    [
        "lenet_caffe --epochs 1",
        # The ranks have unequal parts.
        pytest.param("lenet_caffe --epochs 1 --set batch=27 --micro-batch 4", marks=SLOW),
        pytest.param("lenet_caffe --epochs 1 --set batch=27", marks=SLOW),
        pytest.param("nin_cifar10 --set iterations=1", marks=SLOW),  # dropout
        pytest.param("resnet20_cifar --set iterations=1 --sync-bn", marks=SLOW),
        pytest.param("resnet20_cifar --set iterations=2 --sync-bn --set batch=19", marks=SLOW),
    ],
)
def test_two_ranks_end_in_the_weights_of_one(trial, tmp_path, words) -> None:
    for size in (1, 2):
        alone = words.replace("--micro-batch 4", "") if size == 1 else words
        _assert_fine(trial(alone, size, out=f"w{size}"))
    _assert_near(_weights(tmp_path, "w1"), _weights(tmp_path, "w2"))


def test_batch_norm_over_the_ranks_is_that_of_the_whole_batch(trial) -> None:
    """float64, sums in another order: some ten units in the last place (2e-16) of numbers to 10."""
    ends = trial("none", compare="norm")
    _assert_fine(ends)
    for end in ends:
        differences = json.loads(end["out"])
        assert {"answers", "images", "0.weight", "0.bias", "0.running_var"} <= set(differences)
        assert max(differences.values()) < 1e-13


@SLOW
def test_ranks_without_samples_change_nothing(trial, tmp_path) -> None:
    for size in (1, 4):  # 5 pictures: two ranks of four have none
        words = "resnet20_cifar --set iterations=1 --sync-bn --set batch=5"
        _assert_fine(trial(words, size, out=f"w{size}"))
    _assert_near(_weights(tmp_path, "w1"), _weights(tmp_path, "w4"))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("lenet_caffe --epochs 1 --set validation=0.2", marks=SLOW),
        pytest.param("lenet_caffe --epochs 2 --set validation=0.2 --set tested=best", marks=SLOW),
        pytest.param("lenet_caffe --set batch=27 --set iterations=4 --micro-batch 4", marks=SLOW),
        pytest.param("resnet20_cifar --set iterations=1", marks=SLOW),
        pytest.param("densenet_40_12_cifar --set iterations=1", marks=SLOW),
        pytest.param("alexnet_2gpu --set batch=4 --set iterations=2", marks=SLOW),
    ],
)
def test_shards_end_in_the_weights_of_copies(trial, tmp_path, words) -> None:
    _assert_fine(trial(f"{words} --set average=none", out="copies", hidden=64))
    _assert_fine(trial(f"{words} --set average=none --shard", out="shards", hidden=64))
    _assert_near(_weights(tmp_path, "copies"), _weights(tmp_path, "shards"))


def test_shards_of_a_network_that_ends_in_a_pool_say_nothing_of_views(trial) -> None:
    """Its logits are the flattened pool (SqueezeNet, Table 1), of which FSDP2 warns."""
    ends = trial("squeezenet_32px --set iterations=2 --set batch=4 --shard")
    _assert_fine(ends)
    assert not any("Warning" in end["err"] for end in ends), ends


def test_shards_go_on_where_copies_were_channels_last(trial, tmp_path) -> None:
    """FSDP2 takes no such weights, and the speed probe chooses them for most networks."""
    words = "lenet_caffe --set iterations=4 --checkpoint-steps 2 --set average=none"
    _assert_fine(trial(f"{words} --layout channels_last", out="copies"))
    for path in (tmp_path / "copies" / "checkpoints").glob("step-000000004.*"):
        path.unlink()
    (tmp_path / "copies" / "last.safetensors").rename(tmp_path / "last.safetensors")
    own = [word for word in PLAIN if word not in ("--layout", "contiguous")]
    ends = trial(f"{words} --shard", out="copies", plain=own)
    _assert_fine(ends)
    assert json.loads(ends[0]["out"])["resumed_from_step"] == 2
    _assert_near(load_file(tmp_path / "last.safetensors"), _weights(tmp_path, "copies"))
    refused = trial(f"{words} --shard --layout channels_last", out="other")
    assert [end["code"] for end in refused] == [2, 2]
    assert "--shard splits contiguous weights" in refused[0]["err"]


@pytest.mark.parametrize(
    ("local_size", "device", "told"),
    [
        (2, None, True),
        (2, "cuda", True),
        (3, "cpu", False),
        (3, None, "3 processes on this machine, and torch can use 2 GPUs: start one process a GPU"),
        (2, "cuda:1", "take a GPU each by themselves"),
    ],
)
def test_each_process_has_a_gpu_of_its_own_or_none_has(
    monkeypatch, local_size, device, told
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    place = Place(0, local_size, 0, local_size, "here", 1)
    if isinstance(told, str):
        with pytest.raises(UsageError, match=told):
            _own_gpus(place, device)
    else:
        assert _own_gpus(place, device) is told


@pytest.mark.parametrize("mode", ["", pytest.param(" --shard", marks=SLOW)])
def test_a_killed_rank_ends_all_and_the_same_command_ends_in_the_same_bits(
    trial, tmp_path, mode
) -> None:
    words = f"lenet_caffe --epochs 2 --checkpoint-steps 2 --set average=none{mode}"
    _assert_fine(trial(words, out="whole"))
    first, second = trial(words, out="cut", signal=[1, signal.SIGKILL, 8])
    assert second["code"] == -signal.SIGKILL
    assert first["code"] == 6, first
    assert "another process has ended" in first["err"]
    assert len(first["err"].strip().splitlines()[-1]) < 300
    ends = trial(words, out="cut")
    _assert_fine(ends)
    told = json.loads(ends[0]["out"])
    assert (told["resumed_from_step"], told["exact"]) == (6, True)
    assert ends[1]["out"] == ends[1]["err"] == ""  # rank 0 alone tells
    whole, again = _weights(tmp_path, "whole"), _weights(tmp_path, "cut")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@SLOW
def test_torchrun_starts_all_again_and_they_end_in_the_same_bits(trial, tmp_path) -> None:
    words = "lenet_caffe --epochs 2 --checkpoint-steps 2"
    _assert_fine(trial(words, out="whole"))
    out = ["--out", str(tmp_path / "cut"), "--resume", "never"]
    argv = ["train", *words.split(), "--data", "digits", "--set", "batch=16", *PLAIN, *out]
    torchrun = ["torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1", "--standalone"]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    end = subprocess.run(
        [sys.executable, "-m", *torchrun, "-m", "train.killed_rank", *argv],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert end.returncode == 0, end.stderr
    told = json.loads(end.stdout[end.stdout.index("{") :])
    assert (told["resumed_from_step"], told["exact"]) == (6, True)
    whole, again = _weights(tmp_path, "whole"), _weights(tmp_path, "cut")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@SLOW
def test_the_real_command_under_torchrun_ends_in_the_weights_of_one_process(tmp_path) -> None:
    """No batch norm in this network: other samples, or another order of them, would show."""
    words = "convarium train lenet_caffe --data digits --set batch=64 --set iterations=8"
    torchrun = [str(Path(sys.executable).with_name("torchrun")), "--nproc-per-node=2"]
    starts = {"one": [sys.executable], "two": [*torchrun, "--standalone"]}
    told = {}
    for out, start in starts.items():
        end = subprocess.run(
            [*start, "-m", *words.split(), *PLAIN, "--out", str(tmp_path / out)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert end.returncode == 0, end.stderr
        told[out] = json.loads(end.stdout[end.stdout.index("{") :])["result"]
    _assert_near(_weights(tmp_path, "one"), _weights(tmp_path, "two"))
    curves = [told[out]["curve"][-1] for out in starts]
    assert curves[0]["train_top1"] == curves[1]["train_top1"]
    assert curves[0]["loss"] == pytest.approx(curves[1]["loss"], rel=1e-4)


@SLOW
def test_another_number_of_ranks_goes_on_approximately(trial) -> None:
    words = "lenet_caffe --epochs 1 --checkpoint-steps 2"
    trial(words, signal=[1, signal.SIGKILL, 4])
    (end,) = trial(words, 1)
    _assert_fine([end])
    assert json.loads(end["out"])["exact"] is False
    assert "approximate: world 2 -> 1" in end["err"]


@SLOW
def test_a_signal_to_one_rank_stops_all_behind_one_checkpoint(trial, tmp_path) -> None:
    ends = trial("lenet_caffe --epochs 2", signal=[1, signal.SIGUSR1, 3])
    assert [end["code"] for end in ends] == [75, 75], ends
    kept = sorted(path.stem for path in (tmp_path / "run" / "checkpoints").glob("*.json"))
    assert kept == ["step-000000003"]


@SLOW
def test_a_stopped_rank_is_noticed(trial) -> None:
    first, _ = trial(
        "lenet_caffe --epochs 2 --dist-timeout 4", signal=[1, signal.SIGSTOP, 3], limit=10
    )
    assert first["code"] == 6, first
    assert "has not answered for 4 s" in first["err"]


@SLOW
def test_ranks_of_other_settings_are_refused(trial, tmp_path) -> None:
    ends = trial("lenet_caffe --epochs 1", second="--seed 1")
    assert [end["code"] for end in ends] == [2, 2], ends
    assert "the processes differ in configuration" in ends[0]["err"]
    assert not (tmp_path / "run" / "last.safetensors").exists()


@SLOW
def test_a_rank_that_meets_nobody_says_so(trial) -> None:
    for rank in (0, 1):
        (end,) = trial("lenet_caffe --epochs 1 --dist-timeout 1", started=[rank])
        assert end["code"] == 3, end
        assert f"rank {rank} of 2 did not meet the others" in end["err"].splitlines()[-1]


@SLOW
def test_a_fault_of_rank_0_is_told_by_all(trial, tmp_path) -> None:
    (tmp_path / "run").write_text("a file")
    ends = trial("lenet_caffe --epochs 1")
    assert [end["code"] for end in ends] == [3, 3], ends
    assert "rank 0 ended the run" in ends[1]["err"]


def test_a_tower_on_each_rank_gives_the_numbers_of_both_in_one(trial) -> None:
    """float64, other order of sums: some hundred units in the last place (2e-16) at most."""
    ends = trial("alexnet_2gpu", compare="towers", hidden=64)
    _assert_fine(ends)
    told = [json.loads(end["out"]) for end in ends]
    layers = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    for number, differences in enumerate(told, start=1):
        names = {f"tower{number}.{x}.{y}" for x in layers for y in ("weight", "bias")}
        assert set(differences) == names | {"fc8.weight", "fc8.bias", "logits"}
        assert max(differences.values()) < 1e-12


@SLOW
def test_two_towers_train_to_the_weights_of_one_process(trial, tmp_path) -> None:
    """Momentum, clipping, dropout, and the way through a checkpoint."""
    words = "alexnet_2gpu --set batch=4 --set iterations=3 --checkpoint-steps 1"
    _assert_fine(trial(words, 1, out="one", hidden=64, limit=150))
    words += " --model-parallel"
    _assert_fine(trial(words, out="whole", hidden=64, limit=150))
    _assert_near(_weights(tmp_path, "one"), _weights(tmp_path, "whole"))
    trial(words, out="cut", hidden=64, limit=150, signal=[0, signal.SIGKILL, 3])
    _assert_fine(trial(words, out="cut", hidden=64, limit=150))
    whole, again = _weights(tmp_path, "whole"), _weights(tmp_path, "cut")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_model_parallelism_is_for_the_network_of_two_towers(trial) -> None:
    ends = trial("lenet_caffe --epochs 1 --model-parallel")
    assert [end["code"] for end in ends] == [2, 2], ends
    assert "--model-parallel is for alexnet_2gpu" in ends[0]["err"]
    (end,) = trial("alexnet_2gpu --epochs 1 --model-parallel", 1)
    assert (end["code"], "needs several processes" in end["err"]) == (2, True)


def test_torchruns_variables() -> None:
    told = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    told |= {"MASTER_ADDR": "a", "MASTER_PORT": "7"}
    assert place_of(told) == Place(3, 4, 1, 2, "a", 7)
    with pytest.raises(UsageError, match="MASTER_ADDR is not set"):
        place_of({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"})


def test_sruns_variables() -> None:
    told = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "2", "SLURM_NTASKS": "3", "SLURM_LOCALID": "0"}
    told |= {"SLURM_JOB_NODELIST": "gpu[03-04]", "SLURM_STEP_TASKS_PER_NODE": "2,1"}
    told |= {"SLURM_NODEID": "1", "SLURM_JOB_ID": "20007"}
    assert place_of(told) == Place(2, 3, 0, 1, "gpu03", 15007)
    del told["SLURM_STEP_ID"]  # a batch script without srun
    assert place_of(told) is None


@pytest.mark.parametrize("count", [2, 3, 5, 8, 17, 128])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_slices_are_the_batch_and_none_is_of_one(count, size) -> None:
    parts = [World(rank, size).slice(torch.arange(count)).tolist() for rank in range(size)]
    assert list(chain(*parts)) == list(range(count))
    assert parts[0]
    assert all(len(part) != 1 for part in parts)
