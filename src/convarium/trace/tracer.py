"""Runs a module once and writes down every operator, under the module that called it.

One dispatch mode sees every operator below autograd; global forward hooks keep the module stack.
Tensors that are not on the tracing device are replaced by empty ones of the same shape as they
pass, so the user's model is neither copied, moved nor changed, whatever its device and size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from convarium.trace.fields import Field, after, largest
from convarium.trace.rows import Op, TensorSpec, TraceRow

# Views and bookkeeping move no data: they get no row of their own.
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


class _Tracer(TorchDispatchMode):
    def __init__(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        super().__init__()
        self._device = inputs[0].device
        self._paths = {id(m): path for path, m in model.named_modules()}
        self._originals = {id(p): id(p) for p in model.parameters()}  # stand-ins join in
        self._model = model
        self._stack: list[tuple[str, bool, TraceRow | None]] = []
        self._rows: list[TraceRow] = []
        self._calls: Counter[str] = Counter()
        self._counted: set[int] = set()
        self._stand_ins: dict[int, Tensor] = {}
        self._keep: list[Tensor] = []  # ids below stay unique while the tensors live
        self._fields: dict[int, Field] = {}
        for x in inputs:
            self._remember(x, Field() if x.dim() == 4 else None)

    def enter(self, module: nn.Module, args: Any) -> None:
        path = self._paths.get(id(module))
        if path is None:
            path = f"{self._path()}.{type(module).__name__}".lstrip(".")
        is_leaf = next(module.children(), None) is None
        inside_leaf = bool(self._stack) and self._stack[-1][1]
        row = None
        if is_leaf and not inside_leaf:
            row = self._new_row(path or type(module).__name__, type(module).__name__)
            for p in module.parameters(recurse=False):
                self._count(p, row)
        self._stack.append((path, is_leaf or inside_leaf, row))

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        _, _, row = self._stack.pop()
        if row is not None:
            self._set_output(row, output)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        args, kwargs = tree_map(self._stand_in, (args, kwargs))
        out = func(*args, **kwargs)
        name = func.overloadpacket.__name__.rstrip("_")
        specs = tree_map(_spec, args)
        outputs = tuple(_spec(t) for t in tree_leaves(out) if isinstance(t, Tensor))
        op = Op(name, specs, tree_map(_spec, kwargs), outputs, torch.Tag.pointwise in func.tags)
        self._carry_fields(name, specs, args, out)
        row = self._current_row(op, out)
        if row is not None:
            row.ops.append(op)
            for t in tree_leaves((args, kwargs)):
                self._count(t, row)
        return out

    def finish(self) -> list[TraceRow]:
        """The rows, with one more for parameters that the forward pass never used."""
        unused = [p for p in self._model.parameters() if id(p) not in self._counted]
        if unused:
            row = TraceRow("(unused parameters)", "unused", 0)
            for p in unused:
                self._count(p, row)
            self._rows.append(row)
        return self._rows

    def _current_row(self, op: Op, out: Any) -> TraceRow | None:
        for _, in_leaf, row in reversed(self._stack):
            if row is not None:
                return row
            if not in_leaf:
                break
        if op.name in _FREE:
            return None
        row = self._new_row(f"{self._path()}.{op.name}".lstrip("."), op.name)
        self._set_output(row, out)
        return row

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
        field = self._fields.get(id(tensors[0]))
        if field is not None:
            row.receptive_field, row.stride = max(field.side), max(field.step)

    def _count(self, p: Any, row: TraceRow) -> None:
        original = self._originals.get(id(p))
        if original is not None and original not in self._counted:
            self._counted.add(original)
            row.params += p.numel()

    def _carry_fields(self, name: str, specs: Any, args: Any, out: Any) -> None:
        seen = [self._fields[id(t)] for t in tree_leaves(args) if id(t) in self._fields]
        field = largest(seen)
        for t in tree_leaves(out):
            if isinstance(t, Tensor):
                behind = field and after(name, specs, t.shape, field)
                self._remember(t, behind)

    def _remember(self, t: Tensor, field: Field | None) -> None:
        self._keep.append(t)
        if field is not None:
            self._fields[id(t)] = field
        else:
            self._fields.pop(id(t), None)

    def _stand_in(self, value: Any) -> Any:
        """A tensor of the tracing device in place of one that lives elsewhere."""
        if not isinstance(value, Tensor) or value.device == self._device:
            return value
        key = id(value)
        if key not in self._stand_ins:
            copy = torch.empty_strided(
                value.shape, value.stride(), dtype=value.dtype, device=self._device
            )
            if key in self._originals:
                self._originals[id(copy)] = key
            self._stand_ins[key] = copy
            self._keep.append(value)
        return self._stand_ins[key]

    def _path(self) -> str:
        return self._stack[-1][0] if self._stack else ""


def _spec(value: Any) -> Any:
    return (
        TensorSpec(tuple(value.shape), value.element_size()) if isinstance(value, Tensor) else value
    )
