"""The bytes that live at every moment of a run, storage by storage, without the memory itself.

Inside a ledger every operator computes shapes alone, on shells (see `shells`). A storage counts
from the operator that makes it to the moment the last tensor over it goes, as an allocator counts;
autograd, autocast and Python hold and drop tensors exactly as in a real run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from convarium.blocks.modes import PlainMode
from convarium.trace.arguments import replace, tensors
from convarium.trace.fused import FUSED
from convarium.trace.layouts import laid_out
from convarium.trace.operators import operator
from convarium.trace.shapes import empty_like, shortcut
from convarium.trace.shells import CPU, META, Shell, shape_rules, shell
from convarium.trace.sums import UNKNOWN, Sums, sums_under

# Which operand the CPU's gradients of activations lie as.
_LIES_AS = {"threshold_backward": 1, "hardtanh_backward": 0, "hardswish_backward": 0}

# Bytes that a kernel has at its worst moment over those that lived before the call, its outputs
# included: (operator, arguments, outputs) -> bytes.
Workspace = Callable[[str, tuple[Any, ...], Any], int]


class Ledger(PlainMode):
    """Live bytes, their peak, and the phase in which it came.

    Args:
        workspace: what kernels allocate and give back within one call.
        met: told the name and nature of every operator as it is called.
        half: autocast to bfloat16 is on, which no operator below it can tell.
        sums: which sums are added up in place; found out when unknown.
    """

    def __init__(
        self,
        workspace: Workspace | None = None,
        met: Callable[[str, str], None] | None = None,
        *,
        half: bool = False,
        sums: Sums = UNKNOWN,
    ) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.phase = self.peak_phase = ""
        self._workspace = workspace
        self._met = met
        self._half = half
        self._in_fused = False
        self._storages: dict[int, weakref.ref[Any]] = {}
        self._sums = sums

    def __enter__(self) -> Any:
        if self._sums is UNKNOWN:
            self._sums = sums_under(lambda sums: type(self)(sums=sums), self._new)
        return super().__enter__()

    def _new(self, *sides: int) -> Tensor:
        return shell(torch.empty(sides, device=META))

    def hold(self, value: Tensor) -> None:
        """Counts the storage of `value`, once, until it goes."""
        storage = value.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._storages:
            return

        def gone(_: Any) -> None:
            self.live -= size
            del self._storages[key]

        self._storages[key] = weakref.ref(storage, gone)
        self.live += size
        self.reach(self.live)

    @property
    def holds(self) -> bool:
        """Whether any storage that it counts still lives."""
        return bool(self._storages)

    def reach(self, nbytes: int) -> None:
        """Notes that so many bytes lived at one moment."""
        if nbytes > self.peak:
            self.peak, self.peak_phase = nbytes, self.phase

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.prim.device.default:
            return CPU
        if self.takes_apart(func):
            return self.in_parts(func, args, kwargs or {})
        name, nature, *_ = operator(func)
        if name in FUSED:
            return self._fused(name, args, kwargs or {})
        if self._met is not None:
            self._met(name, nature)
        before = self.live
        with shape_rules():
            args = replace(args, _own)
            kwargs = {k: _on_meta(v) for k, v in (kwargs or {}).items()}
            out = self._sums.in_place(name, args)
            if out is None:
                out = _infer(func, name, args, kwargs)
            out = replace(out, self._wrap)
        if nature != "view":
            self._work(before, name, args, kwargs, out)
        return out

    def takes_apart(self, func: Any) -> bool:
        """Inside a fused layer, too, torch hands over such operators whole."""
        return super().takes_apart(func) or (self._in_fused and func._can_decompose())

    def _fused(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a fused layer gives, by its parts, which this mode meets."""
        outer, self._in_fused = self._in_fused, True
        try:
            with self, torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._half):
                return FUSED[name](*args, **kwargs)
        finally:
            self._in_fused = outer

    def _work(
        self, before: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None, out: Any
    ) -> None:
        """Notes what a kernel had at its worst moment; an output that it was given is not new."""
        if self._workspace is not None:
            given = kwargs.get("out") if kwargs else None
            own = self._workspace(name, args, out)
            self.reach(before + own - (given.nbytes if isinstance(given, Tensor) else 0))

    def _wrap(self, value: Tensor) -> Tensor:
        self.hold(value)
        return value if isinstance(value, Shell) else shell(value)


def _own(value: Tensor) -> Tensor:
    """A shell as it is; for a tensor that came in from outside, its shape on the meta device."""
    if isinstance(value, Shell):
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=META)


def _on_meta(value: Any) -> Any:
    return META if isinstance(value, torch.device) else replace(value, _own)


def _infer(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The outputs of an operator by the cheapest rule that covers it."""
    if name in _LIES_AS:  # torch's rule asks all operands
        return empty_like(args[_LIES_AS[name]])
    if name == "native_batch_norm_backward":
        x, mask = args[1], args[9]
        sides = [x.new_empty(x.shape[1], dtype=torch.float32) if m else None for m in mask[1:]]
        return (empty_like(x) if mask[0] else None, *sides)
    if name == "native_layer_norm_backward":
        like = zip((args[1], *args[5:7]), args[7], strict=True)
        return tuple(_plain_like(t) if m else None for t, m in like)
    if name == "native_group_norm_backward":  # torch's rule has a gradient of the weight's type
        like = zip((args[1], args[4], args[4]), args[9], strict=True)
        return tuple(empty_like(t) if m else None for t, m in like)
    out = shortcut(name, func, args, kwargs)
    return laid_out(name, args, func(*args, **kwargs) if out is None else out)


def _plain_like(value: Tensor) -> Tensor:
    return torch.empty(value.shape, dtype=value.dtype, device=META)


class RealLedger(Ledger):
    """The same count of a run on tensors with values, or on torch's fake ones."""

    def _new(self, *sides: int) -> Tensor:
        return torch.empty(sides, device=CPU)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.namespace == "prim":
            return func(*args, **(kwargs or {}))
        if self.takes_apart(func):
            return self.in_parts(func, args, kwargs or {})
        name, nature, *_ = operator(func)
        if name in FUSED:
            return self._fused(name, args, kwargs or {})
        if self._met is not None:
            self._met(name, nature)
        before = self.live
        out = self._sums.in_place(name, args)
        out = func(*args, **(kwargs or {})) if out is None else out.add_(args[1])
        if name == "mkldnn_rnn_layer" and isinstance(out[0], FakeTensor):
            out = laid_out(name, args, out)
        for value in tensors(out):
            self.hold(value)
        if nature != "view":
            self._work(before, name, args, kwargs, out)
        return out
