"""Empty tensors of the tracing device in place of those that live elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class StandIns:
    """Replaces foreign tensors as they pass, each always by the same stand-in.

    The user's tensors are neither copied, moved nor written to: in-place operators change the
    stand-in. A trainable tensor and its stand-in count as one. What a forward pass makes on another
    device stays there, such as a random draw that it reads, until it meets the tracing device.
    """

    def __init__(
        self, device: torch.device, trainable: Sequence[Tensor], fixed: Sequence[Tensor] = ()
    ) -> None:
        self._device = device
        self._originals = {id(p): id(p) for p in trainable}
        self._stand_ins: dict[int, Tensor] = {}
        self._keep: list[Tensor] = [*trainable, *fixed]  # an id means one tensor while it lives
        self._own = {id(t) for t in self._keep}

    def needed(self, values: Sequence[Tensor]) -> bool:
        """Whether an operator on `values` is to run on the tracing device."""
        return any(value.device == self._device or id(value) in self._own for value in values)

    def of(self, value: Tensor) -> Tensor:
        """The stand-in of a foreign tensor; one of the tracing device comes back as it is."""
        if value.device == self._device:
            return value
        key = id(value)
        if key not in self._stand_ins:
            twin = torch.empty_strided(
                value.shape, value.stride(), dtype=value.dtype, device=self._device
            )
            if key in self._originals:
                self._originals[id(twin)] = key
            self._stand_ins[key] = twin
            self._keep.append(value)
        return self._stand_ins[key]

    def alias(self, source: Tensor, views: Sequence[Tensor]) -> None:
        """Notes that `views` are of `source`: of a trainable tensor, they count as that tensor.

        The caller keeps them alive.
        """
        if id(source) in self._originals:
            self._originals.update((id(view), self._originals[id(source)]) for view in views)

    def original(self, value: Any) -> int | None:
        """The identity of the trainable tensor behind `value`, None for any other value."""
        return self._originals.get(id(value))
