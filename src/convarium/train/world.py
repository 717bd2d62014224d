"""Who trains: the one place that knows of several processes. Today there is one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class World:
    """This process's place among those that train together."""

    rank: int = 0
    size: int = 1

    def slice(self, ids: Tensor) -> Tensor:
        """This rank's part of a global batch's ids (N,): contiguous, the parts apart by at most 1.

        Together the ranks see the same samples at each step, however many they are.

        >>> import torch
        >>> [World(rank, 2).slice(torch.arange(5)).tolist() for rank in (0, 1)]
        [[0, 1], [2, 3, 4]]
        """
        first, last = (len(ids) * rank // self.size for rank in (self.rank, self.rank + 1))
        return ids[first:last]

    def total(self, values: Tensor) -> Tensor:
        """The sum over all ranks."""
        return values
