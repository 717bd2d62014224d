"""Tensors of the tracing device in place of the user's: empty ones on meta, else copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from convarium.trace.arguments import replace
from convarium.trace.sparse import SPARSE, refuse_sparse

# Where a product has its weight and its bias.
_OPERANDS = {"convolution": (1, 2), "addmm": (2, 0), "mm": (1, None)}


_IS_META = attrgetter("is_meta")


class StandIns:
    """Replaces the user's tensors as they pass, each always by the same stand-in.

    They are neither moved nor written to: in-place operators change the stand-in. Those of the meta
    device pass as they are when the trace is on meta: they have no values to lose. A trainable
    tensor and its stand-in count as one. What a forward pass makes on another device stays there,
    such as a random draw that it reads, until it meets the tracing device.

    Args:
        device: to trace on.
        trainable: the model's parameters.
        fixed: its buffers.
        loose: tensors that modules hold otherwise; on meta they stay as they are until they are
            written to, for they may hold sizes that the forward pass reads.
    """

    def __init__(
        self,
        device: torch.device,
        trainable: Sequence[Tensor],
        fixed: Sequence[Tensor] = (),
        loose: Sequence[Tensor] = (),
    ) -> None:
        self._device, self._on_meta = device, device.type == "meta"
        self._originals = {id(p): id(p) for p in trainable}
        self._stand_ins: dict[int, Tensor] = {}
        self._keep: list[Tensor] = [*trainable, *fixed, *loose]  # an id means one while it lives
        own = self._keep[: -len(loose) or None] if self._on_meta else self._keep
        self._own = set(map(id, own))
        elsewhere = loose if self._on_meta else ()
        self._loose = {_storage(t) for t in elsewhere if t.device != device}
        self._zeros: set[int] = set()  # storages of stand-ins for tensors without values

    def none_for(self, given: list[Tensor]) -> bool:
        """Whether these pass as they are: all of the meta device, on which the trace is."""
        return self._on_meta and all(map(_IS_META, given))

    def placed(self, given: list[Tensor], *, writes: bool) -> list[Tensor]:
        """What an operator is called with as the tracing device takes it.

        `given` itself where there is nothing to do. An operator that `writes` never gets the user's
        own.
        """
        if self.none_for(given):
            return given
        if writes and self._loose:
            loose = [t for t in given if t.device != self._device and _storage(t) in self._loose]
            self._own.update(map(id, loose))
            self._keep += loose
        if not any(value.device == self._device or id(value) in self._own for value in given):
            return given
        placed = [self.of(value) for value in given]
        if writes and self._zeros:
            self._zeros.difference_update(map(_storage, placed))
        return placed

    def of(self, value: Tensor) -> Tensor:
        """The stand-in of a tensor; one of the tracing device that nobody else has is its own."""
        here = value.device == self._device
        if here and (value.device.type == "meta" or id(value) not in self._own):
            return value
        key = id(value)
        if key not in self._stand_ins:
            twin = self._twin(value)
            if key in self._originals:
                self._originals[id(twin)] = key
            self._stand_ins[key] = twin
            self._keep.append(value)
        return self._stand_ins[key]

    def _twin(self, value: Tensor) -> Tensor:
        """Empty on meta, zeros for one that has no values, a copy elsewhere."""
        if value.layout in SPARSE and self._on_meta:
            refuse_sparse()
        if not self._on_meta and value.device.type != "meta":
            return value.detach().to(self._device, copy=True)
        twin = torch.empty_strided(
            value.shape, value.stride(), dtype=value.dtype, device=self._device
        )
        if self._on_meta:
            return twin
        if type(twin) is Tensor:  # no fake one
            self._zeros.add(_storage(twin))
        return twin.zero_()

    def empty_product(
        self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor | None:
        """A product with a weight without values, not computed: zeros; None for any other call.

        Detectors that read values would else multiply zeros for seconds.
        """
        if not self._zeros or name not in _OPERANDS or kwargs:
            return None
        weight, bias = (args[at] if at is not None else None for at in _OPERANDS[name])
        if any(t is not None and _storage(t) not in self._zeros for t in (weight, bias)):
            return None
        like = func(*replace(args, lambda t: torch.empty_like(t, device="meta")))
        return torch.zeros(like.shape, dtype=like.dtype, device=self._device)

    def alias(self, source: Tensor, views: Sequence[Tensor]) -> None:
        """Notes that `views` are of `source`: of a trainable tensor, they count as that tensor.

        The caller keeps them alive.
        """
        if id(source) in self._originals:
            self._originals.update((id(view), self._originals[id(source)]) for view in views)

    @property
    def originals(self) -> Mapping[int, int]:
        """Of tensors that have a trainable one behind them: its identity, by theirs."""
        return self._originals


def _storage(value: Tensor) -> int:
    return value.untyped_storage()._cdata
