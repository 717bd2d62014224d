"""Runs a module once and writes down every operator, under the module that called it.

One dispatch mode sees every operator below autograd; global forward hooks keep the module stack.
Tensors that are not on the tracing device are replaced by empty ones as they pass, so the user's
model is neither copied, moved nor changed, whatever its device and size.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import is_not
from threading import get_ident
from typing import Any

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
from convarium.trace.caches import Leftovers
from convarium.trace.hidden import Gradients
from convarium.trace.keepsake import Members, members
from convarium.trace.operators import operator
from convarium.trace.repeats import Repeats
from convarium.trace.rows import Op, TensorSpec, TraceRow
from convarium.trace.shapes import shortcut
from convarium.trace.standins import StandIns


def trace(
    model: nn.Module,
    *inputs: Tensor,
    grad: bool = False,
    has: Members | None = None,
    leftovers: Leftovers | None = None,
) -> list[TraceRow]:
    """One row a call of a leaf of `model`, in the order of the calls.

    Args:
        model: any module; its mode (train or eval) is respected, its values are not touched.
        inputs: what its forward takes, on the device to trace on ("meta" computes nothing).
        grad: note for every tensor whether autograd would compute its gradient.
        has: what `members` gives of the model, where it is known.
        leftovers: told of the tensors that code could keep for later passes.

    Raises:
        TraceError: the forward pass raised.
    """
    tracer = _Tracer(has or members(model), inputs, grad)
    try:
        with torch.set_grad_enabled(grad), _module_stack(tracer), tracer:
            outputs = model(*inputs)
        return tracer.finish(tensors_in(outputs))
    except ConvariumError:
        raise
    except (Exception, SystemExit) as error:
        raise TraceError(tracer.path) from error
    finally:
        if leftovers is not None:
            leftovers.watch(tracer.apart())


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


_IS_SOME = partial(is_not, None)


# A module whose forward runs: its path, the row of the leaf that it is or is called in, whether it
# is that leaf, and the error in whose handler the call stands. A plain tuple: most of a count is
# the time between two operators.
_Frame = tuple[str, TraceRow | None, bool, BaseException | None]


class _Tracer(PlainMode):
    def __init__(self, has: Members, inputs: tuple[Tensor, ...], grad: bool) -> None:
        super().__init__()
        self._stand_ins = StandIns(inputs[0].device, has.parameters, has.buffers, has.loose)
        self._grad, self._gradients, self._repeats = grad, Gradients(grad), Repeats()
        self._book = RowBook(inputs, has.parameters, self._stand_ins)
        self._paths = {id(m): path for path, m in has.modules.items()}
        self.path = ""  # of the innermost module whose forward has not ended well
        self._stack: list[_Frame] = []
        self._thread = get_ident()

    def enter(self, module: nn.Module, args: Any) -> None:
        if get_ident() != self._thread:
            return  # modules that run elsewhere meanwhile
        row = self._stack[-1][1] if self._stack else None
        parts = module._modules
        is_leaf = row is None and not (parts and any(map(_IS_SOME, parts.values())))
        path = self._paths.get(id(module))
        if path is None:
            path = self._below(type(module).__name__)
        if is_leaf:
            kind = type(module).__name__
            row = self._book.new(path or kind, kind)
        self._stack.append((path, row, is_leaf, sys.exc_info()[1]))
        self.path = path

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if get_ident() != self._thread:
            return
        _, row, is_leaf, handled = self._stack.pop()
        if sys.exc_info()[1] is not handled:
            return  # the hook also runs when the forward pass raised: `path` keeps the place
        self.path = self._stack[-1][0] if self._stack else ""
        if row is not None and is_leaf:
            self._book.gave(row, tensors_in(output), module._parameters.values())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kind = operator(func)
        repeats = not kwargs and not (self._grad and self._gradients.hidden())
        if repeats and kind.repeats:
            met = self._repeats.again(func, args, kind.repeats)
            if met is not None:
                op, used, outputs, out = met
                self._note(op, op.inputs, used, outputs)
                return out
        kwargs = kwargs or {}
        if kind.aside:
            new = shortcut(kind.name, func, args, kwargs)
            return func(*args, **kwargs) if new is None else new
        if self.takes_apart(func):
            return self.in_parts(func, args, kwargs)
        users = given(kind.places, args, kwargs)
        specs = self._gradients.specs(users)
        told = filled(kind.places, args, kwargs, specs)
        used = self._stand_ins.placed(users, writes=kind.writes)
        if used is not users:
            args, kwargs = filled(kind.places, args, kwargs, used)
        quick = shortcut if used and used[0].is_meta else self._stand_ins.empty_product
        out = quick(kind.name, func, args, kwargs)
        if out is None:
            out = func(*args, **kwargs)
        outputs = tensors(out)
        inputs = None if kwargs else specs
        gave = tuple(map(spec, outputs))
        op = Op(kind.name, kind.nature, *told, gave, inputs=inputs, in_place=kind.writes)
        self._gradients.made(specs, users, outputs)
        if repeats and kind.repeats and self._stand_ins.none_for(users):
            self._repeats.keep(func, args, kind.repeats, op, out)
        self._note(op, specs, used, outputs)
        return out

    def _note(
        self, op: Op, specs: Sequence[TensorSpec], used: list[Tensor], outputs: list[Tensor]
    ) -> None:
        """One call of an operator: what it used, with the specs as they came in, and gave."""
        row = self._stack[-1][1] if self._stack else None
        if op.nature == "view" and used:
            self._stand_ins.alias(used[0], outputs)
        if row is not None or op.nature == "view":
            self._book.ran(row, op, specs, used, outputs)
            return
        row = self._book.new(self._below(op.name), op.name)
        self._book.ran(row, op, specs, used, outputs)
        self._book.gave(row, outputs)

    def finish(self, outputs: list[Tensor]) -> list[TraceRow]:
        """The rows of the pass that gave these."""
        self._gradients.settle(outputs)
        return self._book.finish()

    def apart(self) -> list[Tensor]:
        """Tensors that were made without the picture: the same ones could serve another pass."""
        return self._book.apart()

    def _below(self, name: str) -> str:
        """The name of something that the running module calls."""
        return f"{self._stack[-1][0]}.{name}".lstrip(".") if self._stack else name
