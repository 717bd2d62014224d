"""Runs a module once and writes down every operator, under the module that called it.

One dispatch mode sees every operator below autograd; global forward hooks keep the module stack.
Tensors that are not on the tracing device are replaced by empty ones as they pass, so the user's
model is neither copied, moved nor changed, whatever its device and size.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from convarium.blocks.modes import PlainMode
from convarium.errors import ConvariumError
from convarium.trace.arguments import filled, given, spec, tensors, tensors_in
from convarium.trace.book import RowBook
from convarium.trace.fields import FieldMap
from convarium.trace.hidden import Gradients
from convarium.trace.keepsake import Members, members
from convarium.trace.operators import operator
from convarium.trace.rows import Op, TraceRow
from convarium.trace.shapes import shortcut
from convarium.trace.standins import StandIns


def trace(
    model: nn.Module, *inputs: Tensor, grad: bool = False, has: Members | None = None
) -> list[TraceRow]:
    """One row a call of a leaf of `model`, in the order of the calls.

    Args:
        model: any module; its mode (train or eval) is respected, its values are not touched.
        inputs: what its forward takes, on the device to trace on ("meta" computes nothing).
        grad: note for every tensor whether autograd would compute its gradient.
        has: what `members` gives of the model, where it is known.

    Raises:
        TraceError: the forward pass raised.
    """
    tracer = _Tracer(has or members(model), inputs, grad)
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
    """A module whose forward runs: `row` is that of the leaf that it is, or is called in.

    `handled` is the error in whose handler the call stands.
    """

    path: str
    row: TraceRow | None
    is_leaf: bool
    handled: BaseException | None


class _Tracer(PlainMode):
    def __init__(self, has: Members, inputs: tuple[Tensor, ...], grad: bool) -> None:
        super().__init__()
        self._stand_ins = StandIns(inputs[0].device, has.parameters, has.buffers, has.loose)
        self._gradients, self._fields = Gradients(grad), FieldMap(inputs)
        self._book = RowBook(has.parameters, self._stand_ins)
        self._paths = {id(m): path for path, m in has.modules.items()}
        self.path = ""  # of the innermost module whose forward has not ended well
        self._stack: list[_Frame] = []

    def enter(self, module: nn.Module, args: Any) -> None:
        row = self._stack[-1].row if self._stack else None
        is_leaf = row is None and not any(m is not None for m in module._modules.values())
        path = self._paths.get(id(module))
        if path is None:
            path = self._below(type(module).__name__)
        if is_leaf:
            kind = type(module).__name__
            row = self._book.new(path or kind, kind)
            self._book.count(module._parameters.values(), row)
        self._stack.append(_Frame(path, row, is_leaf, sys.exc_info()[1]))
        self.path = path

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        frame = self._stack.pop()
        if sys.exc_info()[1] is not frame.handled:
            return  # the hook also runs when the forward pass raised: `path` keeps the place
        self.path = self._stack[-1].path if self._stack else ""
        if frame.row is not None and frame.is_leaf:
            self._set_output(frame.row, tensors_in(output))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name, nature, writes, at, aside = operator(func)
        if aside:
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled() and func._can_decompose():
            return self.in_parts(func, args, kwargs)
        users = given(at, args, kwargs)
        specs = self._gradients.specs(users)
        told = filled(at, args, kwargs, specs)
        used = self._stand_ins.placed(users, writes=writes)
        if used is not users:
            args, kwargs = filled(at, args, kwargs, used)
        quick = shortcut if used and used[0].is_meta else self._stand_ins.empty_product
        out = quick(name, func, args, kwargs)
        if out is None:
            out = func(*args, **kwargs)
        outputs = tensors(out)
        inputs = None if kwargs else specs
        op = Op(name, nature, *told, tuple(map(spec, outputs)), inputs=inputs, in_place=writes)
        self._gradients.made(specs, users, outputs)
        self._fields.carry(op, used, specs, outputs)
        if nature == "view" and used:
            self._stand_ins.alias(used[0], outputs)
        row = self._row_of(op, outputs)
        if row is not None:
            row.ops.append(op)
            self._book.count(used, row)
        self._book.connect(row, used, outputs)  # the field map keeps them alive
        return out

    def finish(self, outputs: list[Tensor]) -> list[TraceRow]:
        """The rows of the pass that gave these."""
        self._gradients.settle(outputs)
        return self._book.finish()

    def _row_of(self, op: Op, outputs: list[Tensor]) -> TraceRow | None:
        """The row an operator belongs to: its leaf's, or one of its own; none for bare views."""
        if self._stack and self._stack[-1].row is not None:
            return self._stack[-1].row
        if op.nature == "view":
            return None
        row = self._book.new(self._below(op.name), op.name)
        self._set_output(row, outputs)
        return row

    def _below(self, name: str) -> str:
        """The name of something that the running module calls."""
        return f"{self._stack[-1].path}.{name}".lstrip(".") if self._stack else name

    def _set_output(self, row: TraceRow, outputs: list[Tensor]) -> None:
        if not outputs:
            return
        row.output_shape = tuple(outputs[0].shape)
        row.output_bytes = sum([spec(t).nbytes for t in outputs])
        field = self._fields.of(outputs[0])
        if field is not None:
            seen = field.seen
            row.receptive_field, row.receptive_field_min = seen.side, seen.least
            row.stride, row.offset = seen.stride, seen.offset
