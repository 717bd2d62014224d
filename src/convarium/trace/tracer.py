"""Runs a module once and writes down every operator, under the module that called it.

One dispatch mode sees every operator below autograd; global forward hooks keep the module stack.
Tensors that are not on the tracing device are replaced by empty ones as they pass, so the user's
model is neither copied, moved nor changed, whatever its device and size.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from convarium.blocks.modes import PlainMode
from convarium.errors import ConvariumError
from convarium.trace.arguments import spec, tensors, tensors_in
from convarium.trace.fields import FieldMap
from convarium.trace.hidden import Gradients
from convarium.trace.keepsake import members
from convarium.trace.rows import Op, TraceRow
from convarium.trace.shapes import shortcut
from convarium.trace.standins import StandIns


def trace(model: nn.Module, *inputs: Tensor, grad: bool = False) -> list[TraceRow]:
    """One row a call of a leaf of `model`, in the order of the calls.

    Args:
        model: any module; its mode (train or eval) is respected, its values are not touched.
        inputs: what its forward takes, on the device to trace on ("meta" computes nothing).
        grad: note for every tensor whether autograd would compute its gradient.

    Raises:
        TraceError: the forward pass raised.
    """
    tracer = _Tracer(model, inputs, grad)
    try:
        with torch.set_grad_enabled(grad), _module_stack(tracer), tracer:
            outputs = model(*inputs)
    except ConvariumError:
        raise
    except (Exception, SystemExit) as error:
        raise TraceError(tracer.path) from error
    return tracer.finish(tensors_in(outputs))


class TraceError(Exception):
    """A forward pass failed; its own error is the cause. `path` is the module that ran."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the forward pass failed in {path or 'the module itself'}")
        self.path = path


@contextmanager
def _module_stack(tracer: _Tracer) -> Iterator[None]:
    """Tells `tracer` which module runs. Global hooks: no module of the user's gets one."""
    enter = register_module_forward_pre_hook(tracer.enter)
    leave = register_module_forward_hook(tracer.leave, always_call=True)
    try:
        yield
    finally:
        enter.remove()
        leave.remove()


class _Frame(NamedTuple):
    """A module whose forward runs: `row` is set for a leaf, `inside_leaf` for what it calls.

    `handled` is the error in whose handler the call stands.
    """

    path: str
    inside_leaf: bool
    row: TraceRow | None
    handled: BaseException | None


class _Tracer(PlainMode):
    def __init__(self, model: nn.Module, inputs: tuple[Tensor, ...], grad: bool) -> None:
        super().__init__()
        _, self._trainable, buffers, _, loose = members(model)
        self._sizes = {id(p): p.numel() for p in self._trainable}
        self._stand_ins = StandIns(inputs[0].device, self._trainable, buffers, loose)
        self._gradients, self._fields = Gradients(grad), FieldMap(inputs)
        self._paths = {id(m): path for path, m in model.named_modules()}
        self.path = ""  # of the innermost module whose forward has not ended well
        self._stack: list[_Frame] = []
        self._rows: list[TraceRow] = []
        self._numbers: dict[int, int] = {}  # of a row, by its identity
        self._makers: dict[int, int] = {}  # a tensor's row; the field map keeps the tensor alive
        self._calls: Counter[str] = Counter()
        self._counted: set[int] = set()

    def enter(self, module: nn.Module, args: Any) -> None:
        inside_leaf = bool(self._stack) and self._stack[-1].inside_leaf
        is_leaf = not inside_leaf and next(module.children(), None) is None
        kind = type(module).__name__
        path = self._paths.get(id(module), self._below(kind))
        row = self._new_row(path or kind, kind) if is_leaf else None
        if row is not None:
            for p in module._parameters.values():
                self._count(p, row)
        self._stack.append(_Frame(path, is_leaf or inside_leaf, row, sys.exc_info()[1]))
        self.path = path

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        frame = self._stack.pop()
        if sys.exc_info()[1] is not frame.handled:
            return  # the hook also runs when the forward pass raised: `path` keeps the place
        self.path = self._stack[-1].path if self._stack else ""
        if frame.row is not None:
            self._set_output(frame.row, tensors_in(output))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace in ("prim", "profiler"):  # asks a tensor for its device; names a span
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled() and func._can_decompose():
            return self.in_parts(func, args, kwargs)
        name, nature = _identity(func)
        given, specs = (args, kwargs), self._gradients.specs(args, kwargs)
        args, kwargs = self._stand_ins.placed(args, kwargs, writes=func._schema.is_mutable)
        used = tensors(args) + tensors(kwargs)
        quick = shortcut if used and used[0].is_meta else self._stand_ins.empty_product
        out = quick(name, func, args, kwargs)
        if out is None:
            out = func(*args, **kwargs)
        outputs = tensors(out)
        op = Op(name, nature, *specs, tuple(map(spec, outputs)), in_place=func._schema.is_mutable)
        self._gradients.made(op, *given, outputs)
        self._fields.carry(name, op.args, used, outputs)
        if nature == "view" and used:
            self._stand_ins.alias(used[0], outputs)
        row = self._row_of(op, outputs)
        if row is not None:
            row.ops.append(op)
            for value in used:
                self._count(value, row)
        self._connect(row, used, outputs)
        return out

    def finish(self, outputs: list[Tensor]) -> list[TraceRow]:
        """The rows, with one more for parameters that the forward pass never used."""
        self._gradients.settle(outputs)
        unused = TraceRow("(unused parameters)", "unused", 0)
        for p in self._trainable:
            self._count(p, unused)
        return [*self._rows, unused] if unused.params else self._rows

    def _row_of(self, op: Op, outputs: list[Tensor]) -> TraceRow | None:
        """The row an operator belongs to: its leaf's, or one of its own; none for bare views."""
        if self._stack and self._stack[-1].inside_leaf:
            return next(frame.row for frame in reversed(self._stack) if frame.row is not None)
        if op.nature == "view":
            return None
        row = self._new_row(self._below(op.name), op.name)
        self._set_output(row, outputs)
        return row

    def _connect(self, row: TraceRow | None, used: list[Tensor], outputs: list[Tensor]) -> None:
        """Notes which rows feed `row`. What a bare view gives still comes from its source's row."""
        before = [self._makers[id(t)] for t in used if id(t) in self._makers]
        if row is None:
            made_by = before[:1]
        else:
            made_by = [self._numbers[id(row)]]
            row.inputs.update(dict.fromkeys(n for n in before if n != made_by[0]))
        self._makers.update((id(t), made_by[0]) for t in outputs if made_by)

    def _below(self, name: str) -> str:
        """The name of something that the running module calls."""
        return f"{self._stack[-1].path}.{name}".lstrip(".") if self._stack else name

    def _new_row(self, name: str, kind: str) -> TraceRow:
        row = TraceRow(name, kind, self._calls[name])
        self._calls[name] += 1
        self._numbers[id(row)] = len(self._rows)
        self._rows.append(row)
        return row

    def _set_output(self, row: TraceRow, outputs: list[Tensor]) -> None:
        if not outputs:
            return
        row.output_shape = tuple(outputs[0].shape)
        row.output_bytes = sum(spec(t).nbytes for t in outputs)
        field = self._fields.of(outputs[0])
        if field is not None:
            row.receptive_field, row.receptive_field_min = field.side, field.least
            row.stride, row.offset = field.axis.step, field.axis.centre

    def _count(self, value: Any, row: TraceRow) -> None:
        original = self._stand_ins.original(value)
        if original is not None and original not in self._counted:
            self._counted.add(original)
            row.params += self._sizes[original]


@cache
def _identity(func: Any) -> tuple[str, str]:
    """Name and nature of an operator; see `Op`."""
    packet = func.overloadpacket
    name = packet.__name__.rstrip("_")
    if func.namespace not in ("aten", "prims"):
        name = f"{func.namespace}::{name}"
    returns = func._schema.returns
    aliases = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
    if aliases or torch.Tag.inplace_view in func.tags:
        return name, "view"
    for tag, nature in ((torch.Tag.pointwise, "pointwise"), (torch.Tag.reduction, "reduction")):
        if tag in func.tags:
            return name, nature
    return name, "view" if name in _FREE else "other"


# These move no data either, though their schema does not say so.
_FREE = frozenset("_unsafe_view unsafe_split unsafe_split_with_sizes empty empty_strided".split())
