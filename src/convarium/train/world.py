"""Who trains: the one place where the processes of a run talk to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from convarium.errors import ConvariumError, UsageError

LEAST = 2  # samples of a process at a step, where it has any: batch norm cannot train on one
MODES = ("copies", "shards", "towers", "devices")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class World:
    """This process's place among those that train together, and how they share the work.

    `mode` is "copies" (each has the network and a part of the batch), "shards" (each has a part
    of every tensor and of the batch) or "towers" (each has one tower and sees the whole batch).
    "devices" is one process with a tower on each of two `devices`. With `sync_bn` batch norm sees
    the whole batch. `local_size` counts this machine's processes.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    mode: str = "copies"
    sync_bn: bool = False
    devices: tuple[str, ...] = ()

    @property
    def first(self) -> bool:
        """True for the one that writes and prints."""
        return self.rank == 0

    def slice(self, ids: Tensor) -> Tensor:
        """This rank's part of a global batch's ids (N,): contiguous, the parts apart by at most 1.

        Together the ranks see the same samples at each step, however many they are. Where there
        are fewer than 2 for each, the last ranks get none. Towers all see the whole batch.

        >>> import torch
        >>> [World(rank, 2).slice(torch.arange(5)).tolist() for rank in (0, 1)]
        [[0, 1], [2, 3, 4]]
        >>> [World(rank, 4).slice(torch.arange(5)).tolist() for rank in range(4)]
        [[0, 1], [2, 3, 4], [], []]
        """
        if self.mode == "towers":
            return ids
        active = max(1, min(self.size, len(ids) // LEAST))
        if self.rank >= active:
            return ids[:0]
        first, last = (len(ids) * rank // active for rank in (self.rank, self.rank + 1))
        return ids[first:last]

    def total(self, values: Tensor) -> Tensor:
        """The sum over all ranks; in place where there are several."""
        if self.size > 1 and self.mode != "towers":
            dist.all_reduce(values)
        return values

    def most(self, values: Sequence[int]) -> list[int]:
        """The largest of each value over all ranks."""
        if self.size == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.int64)
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return told.tolist()

    def of_first(self, work: Callable[[], T]) -> T:
        """What `work` gives on rank 0, which alone does it; its expected errors reach all.

        Raises:
            ConvariumError: of rank 0.
        """
        if self.size == 1:
            return work()
        told: list[Any] = [None]
        failure = None
        if self.first:
            try:
                told = [(work(), None)]
            except ConvariumError as error:
                failure = error
                told = [(None, (str(error), error.exit_code))]
        dist.broadcast_object_list(told, src=0)
        value, refusal = told[0]
        if failure is not None:
            raise failure
        if refusal is not None:
            raise ElsewhereError(*refusal)
        return value

    def tensors_of_first(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rank 0's tensors, by name, on all; those of the others are not looked at."""
        if self.size == 1:
            return dict(tensors)
        forms = self.of_first(lambda: [(k, tuple(t.shape), t.dtype) for k, t in tensors.items()])
        found = {}
        for name, shape, dtype in forms:
            mine = tensors[name].cpu().contiguous() if self.first else None
            found[name] = torch.empty(shape, dtype=dtype) if mine is None else mine
            dist.broadcast(found[name], src=0)
        return found

    def all_tensors(self, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """On rank 0 the tensors of all ranks by name, the lower rank's first; elsewhere `own`."""
        found = {name: t.cpu() for name, t in own.items()}
        forms: list[Any] = [None] * self.size
        dist.all_gather_object(forms, [(k, tuple(t.shape), t.dtype) for k, t in own.items()])
        known = {name for name, _, _ in forms[0]}
        for rank in range(1, self.size):
            for name, shape, dtype in forms[rank]:
                if name in known:
                    continue
                known.add(name)
                if self.rank == rank:
                    dist.send(own[name].cpu().contiguous(), dst=0)
                elif self.first:
                    received = torch.empty(shape, dtype=dtype)
                    dist.recv(received, src=rank)
                    found[name] = received
        return found


def check_same(world: World, told: Mapping[str, str]) -> None:
    """Refuses to train where the ranks differ in what must be the same.

    Args:
        world: all of its processes call this.
        told: by name in words, such as "configuration"; the values are compared.

    Raises:
        UsageError: on all ranks; names what differs and where.
    """
    if world.size == 1:
        return
    all_: list[Any] = [None] * world.size
    dist.all_gather_object(all_, dict(told))
    for what, value in all_[0].items():
        others = [rank for rank, theirs in enumerate(all_) if theirs.get(what) != value]
        if others:
            raise UsageError(
                f"the processes differ in {what}: {all_[0][what]} on rank 0, "
                f"{all_[others[0]].get(what)} on rank {others[0]}. Start the same command, "
                "with the same files, on all."
            )


class ElsewhereError(ConvariumError):
    """Rank 0 ended the run for a reason that it tells."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(f"rank 0 ended the run: {text}")
        self.exit_code = exit_code
