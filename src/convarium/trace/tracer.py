"""Runs a module once and writes down every operator, under the module that called it.

One dispatch mode sees every operator below autograd; global forward hooks keep the module stack.
Tensors that are not on the tracing device are replaced by empty ones as they pass, so the user's
model is neither copied, moved nor changed, whatever its device and size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from convarium.trace.fields import FieldMap
from convarium.trace.rows import Op, TensorSpec, TraceRow
from convarium.trace.standins import StandIns

# Views and bookkeeping move no data: outside a leaf they get no row of their own.
_FREE = frozenset(
    """
    view _unsafe_view reshape permute transpose t squeeze unsqueeze expand detach alias
    as_strided slice select split split_with_sizes chunk unbind lift_fresh empty
    """.split()
)


def trace(model: nn.Module, *inputs: Tensor) -> list[TraceRow]:
    """One row a call of a leaf of `model`, in the order of the calls.

    Args:
        model: any module; its mode (train or eval) is respected, its values are not touched.
        inputs: what its forward takes, on the device to trace on ("meta" computes nothing).
    """
    tracer = _Tracer(model, inputs)
    with torch.no_grad(), _module_stack(tracer), tracer:
        model(*inputs)
    return tracer.finish()


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
    """A module whose forward runs: `row` is set for a leaf, `inside_leaf` for what it calls."""

    path: str
    inside_leaf: bool
    row: TraceRow | None


class _Tracer(TorchDispatchMode):
    def __init__(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        super().__init__()
        self._trainable = list(model.parameters())
        self._stand_ins = StandIns(inputs[0].device, self._trainable)
        self._fields = FieldMap(inputs)
        self._paths = {id(m): path for path, m in model.named_modules()}
        self._stack: list[_Frame] = []
        self._rows: list[TraceRow] = []
        self._calls: Counter[str] = Counter()
        self._counted: set[int] = set()

    def enter(self, module: nn.Module, args: Any) -> None:
        inside_leaf = bool(self._stack) and self._stack[-1].inside_leaf
        is_leaf = not inside_leaf and next(module.children(), None) is None
        kind = type(module).__name__
        path = self._paths.get(id(module), self._below(kind))
        row = None
        if is_leaf:
            row = self._new_row(path or kind, kind)
            for p in module.parameters(recurse=False):
                self._count(p, row)
        self._stack.append(_Frame(path, is_leaf or inside_leaf, row))

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        row = self._stack.pop().row
        if row is not None:
            self._set_output(row, output)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        args, kwargs = tree_map(self._stand_ins.of, (args, kwargs or {}))
        out = func(*args, **kwargs)
        outputs = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        used = tree_leaves((args, kwargs))
        op = Op(
            name=func.overloadpacket.__name__.rstrip("_"),
            args=tree_map(_spec, args),
            kwargs=tree_map(_spec, kwargs),
            outputs=tuple(map(_spec, outputs)),
            pointwise=torch.Tag.pointwise in func.tags,
        )
        self._fields.carry(op.name, op.args, used, outputs)
        row = self._row_of(op.name, out)
        if row is not None:
            row.ops.append(op)
            for value in used:
                self._count(value, row)
        return out

    def finish(self) -> list[TraceRow]:
        """The rows, with one more for parameters that the forward pass never used."""
        unused = TraceRow("(unused parameters)", "unused", 0)
        for p in self._trainable:
            self._count(p, unused)
        return [*self._rows, unused] if unused.params else self._rows

    def _row_of(self, name: str, out: Any) -> TraceRow | None:
        """The row an operator belongs to: its leaf's, or one of its own."""
        if self._stack and self._stack[-1].inside_leaf:
            return next(frame.row for frame in reversed(self._stack) if frame.row is not None)
        if name in _FREE:
            return None
        row = self._new_row(self._below(name), name)
        self._set_output(row, out)
        return row

    def _below(self, name: str) -> str:
        """The name of something that the running module calls."""
        return f"{self._stack[-1].path}.{name}".lstrip(".") if self._stack else name

    def _new_row(self, name: str, kind: str) -> TraceRow:
        row = TraceRow(name, kind, self._calls[name])
        self._calls[name] += 1
        self._rows.append(row)
        return row

    def _set_output(self, row: TraceRow, output: Any) -> None:
        tensors = [t for t in tree_leaves(output) if isinstance(t, Tensor)]
        if not tensors:
            return
        row.output_shape = tuple(tensors[0].shape)
        row.output_bytes = sum(_spec(t).nbytes for t in tensors)
        field = self._fields.of(tensors[0])
        if field is not None:
            row.receptive_field, row.stride = max(field.side), max(field.step)

    def _count(self, value: Any, row: TraceRow) -> None:
        original = self._stand_ins.original(value)
        if original is not None and original not in self._counted:
            self._counted.add(original)
            row.params += value.numel()


def _spec(value: Any) -> Any:
    return (
        TensorSpec(tuple(value.shape), value.element_size()) if isinstance(value, Tensor) else value
    )
