"""Joins the processes that a launcher (torchrun, srun) started into one world, and parts them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from convarium.errors import ConvariumError, InputError, UsageError, counted
from convarium.machine import default_device, known_device
from convarium.train.world import World

TIMEOUT = 300.0  # seconds without an answer after which a process counts as gone
_PORTS = (15000, 20000)  # first, and how many: where srun's processes meet
# The words of gloo, nccl and the store; they have no exceptions of their own for these.
_OF_PEERS = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Connection refused",
    "Broken pipe",
    "Timed out waiting",
    "Application timeout",
    "timed out",
    "Socket closed",
    "Watchdog caught",
    "failed to recv",
    "failed to send",
)


class PeerLostError(ConvariumError):
    """Another process of the run has ended or does not answer (exit code 6)."""

    exit_code = 6


@dataclass(frozen=True, slots=True)
class Place:
    """What a launcher says: this process's ranks, how many there are, and where they meet."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    host: str
    port: int

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size or not 0 <= self.local_rank < self.local_size:
            raise UsageError(
                f"the launcher's variables are off: rank {self.rank} of {self.size}, "
                f"{self.local_rank} of {self.local_size} on this machine."
            )


def place_of(environment: Mapping[str, str]) -> Place | None:
    """This process's place by torchrun's variables or srun's; None where it is alone.

    Raises:
        UsageError: variables that are missing or no numbers.

    >>> place_of({}) is None
    True
    """
    try:
        if "WORLD_SIZE" in environment and "RANK" in environment:
            place = _of_torchrun(environment)
        elif "SLURM_STEP_ID" in environment and "SLURM_PROCID" in environment:
            place = _of_srun(environment)
        else:
            return None
    except KeyError as error:
        raise UsageError(f"{error.args[0]} is not set; start with torchrun or srun.") from None
    except ValueError as error:
        raise UsageError(f"the launcher's variables are off: {error}.") from None
    return place if place.size > 1 else None


def _of_torchrun(told: Mapping[str, str]) -> Place:
    rank, size = int(told["RANK"]), int(told["WORLD_SIZE"])
    local = int(told.get("LOCAL_RANK", rank)), int(told.get("LOCAL_WORLD_SIZE", size))
    return Place(rank, size, *local, told["MASTER_ADDR"], int(told["MASTER_PORT"]))


def _of_srun(told: Mapping[str, str]) -> Place:
    """By the step's variables: a batch script's own are set without srun, too."""
    size = int(told.get("SLURM_STEP_NUM_TASKS") or told["SLURM_NTASKS"])
    nodes = told.get("SLURM_STEP_NODELIST") or told["SLURM_JOB_NODELIST"]
    per_node = told.get("SLURM_STEP_TASKS_PER_NODE") or str(size)
    first, count = _PORTS
    port = first + int(told.get("SLURM_JOB_ID", "0")) % count
    return Place(
        int(told["SLURM_PROCID"]),
        size,
        int(told["SLURM_LOCALID"]),
        tasks_per_node(per_node)[int(told.get("SLURM_NODEID", "0"))],
        told.get("MASTER_ADDR") or first_host(nodes),
        int(told.get("MASTER_PORT", port)),
    )


def restarted() -> bool:
    """True where torchrun started this process anew after a failure (--max-restarts)."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def first_host(nodes: str) -> str:
    """The first name of SLURM's short list of nodes.

    >>> first_host("rack2-[007-009,012],gpu1"), first_host("gpu1,gpu2")
    ('rack2-007', 'gpu1')
    """
    named = re.match(r"([^\[,]+)(?:\[([^\]]+)\])?([^,\[]*)", nodes)
    if named is None:
        raise ValueError(f"no node in {nodes!r}")
    prefix, numbers, suffix = named.groups()
    return prefix + (re.split(r"[-,]", numbers)[0] if numbers else "") + suffix


def tasks_per_node(told: str) -> list[int]:
    """SLURM's short list of tasks, one number a node.

    >>> tasks_per_node("2(x3),1")
    [2, 2, 2, 1]
    """
    found = []
    for part in told.split(","):
        count, _, times = part.rstrip(")").partition("(x")
        found += [int(count)] * int(times or 1)
    return found


@contextmanager
def joined(
    *,
    mode: str = "copies",
    sync_bn: bool = False,
    timeout: float = TIMEOUT,
    device: str | None = None,
    devices: tuple[str, ...] = (),
) -> Iterator[World]:
    """This process's world, by the launcher's variables; alone without any.

    Args:
        mode: as `World` has it.
        sync_bn: batch norm sees the whole batch.
        timeout: seconds without an answer after which another process counts as gone.
        device: "cpu" or "cuda", where the processes compute; GPUs where torch can use them if None.
        devices: of mode "devices", the two that this process uses.

    Raises:
        UsageError: fewer GPUs than processes; a mode that needs several processes, and there is
            one, or the other way round; devices that torch does not have.
        InputError: the processes do not find each other.
        PeerLostError: within the block, another process ended or does not answer.
    """
    if not timeout > 0:
        raise UsageError(f"--dist-timeout must be above 0, not {timeout:g}.")
    place = place_of(os.environ)
    if mode == "devices":
        if place is not None:
            raise UsageError("--devices is for one process; --model-parallel takes two.")
        yield World(mode=mode, devices=two_devices(devices))
        return
    if place is None:
        if mode != "copies":
            option = {"shards": "--shard", "towers": "--model-parallel"}[mode]
            raise UsageError(f"{option} needs several processes: start with torchrun or srun.")
        yield World()
        return
    if mode == "towers" and place.size != 2:
        raise UsageError(f"--model-parallel takes 2 processes, one a tower, not {place.size}.")
    _meet(place, timeout, on_gpus=_own_gpus(place, device))
    ranks = place.rank, place.size, place.local_rank, place.local_size
    try:
        yield World(*ranks, mode, sync_bn)
    except RuntimeError as error:
        if not any(words in str(error) for words in _OF_PEERS):
            raise
        raise _lost(place, error, timeout) from error
    finally:
        dist.destroy_process_group()


def two_devices(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of two devices, each of which torch can use here.

    Raises:
        UsageError: not two, or one that is not there.

    >>> two_devices(("cpu", "cpu"))
    ('cpu', 'cpu')
    """
    if len(names) != 2:
        raise UsageError(f"--devices takes two names, such as cuda:0,cuda:1, not {len(names)}.")
    return known_device(names[0]), known_device(names[1])


def _own_gpus(place: Place, device: str | None) -> bool:
    """True where each process of this machine computes on a GPU of its own.

    Raises:
        UsageError: there are fewer GPUs than processes, and nccl wants one for each.
    """
    device = device or default_device()
    if device == "cpu":
        return False
    if device != "cuda":
        raise UsageError("several processes take a GPU each by themselves: --device cpu or cuda.")
    gpus = torch.cuda.device_count()
    if place.local_size > gpus:
        raise UsageError(
            f"{place.local_size} processes on this machine, and torch can use "
            f"{counted(gpus, 'GPU')}: start one process a GPU, or add --device cpu."
        )
    return True


def _meet(place: Place, timeout: float, *, on_gpus: bool) -> None:
    """Joins the process group: gloo for what lies on the CPU, nccl for GPUs."""
    backend = "gloo"
    if on_gpus:
        torch.cuda.set_device(place.local_rank)
        backend = "cpu:gloo,cuda:nccl"
    within = timedelta(seconds=timeout)
    try:
        dist.init_process_group(
            backend,
            **_meeting_place(place, within),
            timeout=within,
            rank=place.rank,
            world_size=place.size,
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"rank {place.rank} of {place.size} did not meet the others at "
            f"{place.host}:{place.port} within {timeout:g} s ({_in_short(error)}). "
            "Check MASTER_ADDR, MASTER_PORT, and that all were started."
        ) from error


def _meeting_place(place: Place, timeout: timedelta) -> dict[str, Any]:
    """Where the processes meet, in the words of `init_process_group`.

    torchrun's own process keeps the store, which outlives a restart of ours and still holds the
    addresses of those that ended: each attempt gets a part of it for itself. Over several machines
    the attempts are not counted alike, and torch's own ways must do.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        host = f"[{place.host}]" if ":" in place.host else place.host
        return {"init_method": f"tcp://{host}:{place.port}"}
    if place.local_size < place.size:
        return {"init_method": "env://"}
    store, *_ = next(rendezvous("env://", timeout=timeout))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return {"store": dist.PrefixStore(f"attempt {attempt}", store)}


def _lost(place: Place, error: RuntimeError, timeout: float) -> PeerLostError:
    return PeerLostError(
        f"rank {place.rank} of {place.size}: another process has ended or has not answered for "
        f"{timeout:g} s ({_in_short(error)}). The same command goes on from the last checkpoint."
    )


def _in_short(error: BaseException) -> str:
    """The part of the first line that says what happened, without places in torch's source."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    found = re.search("|".join(re.escape(words) + r"[^\[(.]*" for words in _OF_PEERS), line)
    return found[0].strip() if found else line[:100]
