"""Traces a module the cheapest way that works: shapes alone, then fake tensors, then for real."""

from __future__ import annotations

import gc
import logging
import random
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from traceback import clear_frames
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.parameter import is_lazy

from convarium.errors import ConvariumError, InputError, UsageError, first_words, said, times
from convarium.trace.caches import Leftovers
from convarium.trace.keepsake import Members, left_alone, members
from convarium.trace.rows import TraceRow
from convarium.trace.tracer import TraceError, trace

WAYS = ("meta", "fake", "cpu")
# Hooks of modules, random states and the depth of calls are the whole process's.
_ALONE = threading.RLock()
_Got = TypeVar("_Got")
_WRAP = (
    "Wrap it in a module whose forward takes one picture and makes its other inputs from it, or "
    "holds them."
)


def trace_anyhow(
    model: nn.Module,
    shape: tuple[int, ...],
    *,
    mode: str = "eval",
    grad: bool = False,
    device: str = "meta",
) -> tuple[list[TraceRow], str]:
    """Rows of one forward pass, and how they were got: "meta", "fake", or the device's name.

    On "meta" nothing is computed and a model of any size works. A forward pass that reads a
    tensor's value, or checks devices before torch sees the call, cannot run there: it is then
    tried with fake tensors, and last with a picture of zeros on the CPU. The user's model keeps
    its values, modes and random state in every case.

    Args:
        model: any module that takes one picture.
        shape: of that picture, with the batch: (N, C, H, W).
        mode: "train" or "eval".
        grad: note for every tensor whether autograd would compute its gradient.
        device: "meta" with the fallbacks, or the only device to try.

    Raises:
        InputError: the forward pass fails on all of them; with its own words and the module's path.
    """

    leftovers = Leftovers()

    def attempt(way: str, has: Members) -> list[TraceRow]:
        _set_mode(model, has, training=mode == "train")
        fast = _collector_paused() if way == "meta" else nullcontext()
        with fast, _plain_attention() if way != device else nullcontext():
            return _trace_by(way, model, has, shape, grad=grad, leftovers=leftovers)[0]

    ways = WAYS if device == "meta" else [device]
    return first_way(attempt, model, shape, ways, leftovers.let_go)


def _set_mode(model: nn.Module, has: Members, *, training: bool) -> None:
    """As `train()`, which takes a tenth of a count; by it where any module has a way of its own.

    A module of torch.export has its mode built in, and stays in it.
    """
    modules = list(map(vars, has.modules.values()))
    own = any("train" in attributes for attributes in modules)
    if not own and all(map(_is_plain, set(map(type, has.modules.values())))):
        for attributes in modules:
            attributes["training"] = training
    else:
        with suppress(NotImplementedError):
            model.train(training)


def _is_plain(kind: type[nn.Module]) -> bool:
    """Its mode is its attribute: scripted modules keep theirs elsewhere, some freeze layers."""
    return kind.train is nn.Module.train and kind.__setattr__ is nn.Module.__setattr__


def picture_kind(model: nn.Module, shape: tuple[int, ...]) -> torch.dtype:
    """The type of the values that `model` takes, as `trace_anyhow` finds it; errors are the same.

    Args:
        model: any module that takes one picture; it is run in its own mode.
        shape: of that picture, with the batch: (N, C, H, W).
    """

    leftovers = Leftovers()

    def attempt(way: str, has: Members) -> torch.dtype:
        return _trace_by(way, model, has, shape, grad=False, leftovers=leftovers)[1]

    return first_way(attempt, model, shape, WAYS, leftovers.let_go)[0]


def first_way(
    attempt: Callable[[str, Members], _Got],
    model: nn.Module,
    shape: tuple[int, ...],
    ways: Sequence[str],
    behind: Callable[[], None],
) -> tuple[_Got, str]:
    """What `attempt` gives the first of `ways` that works, and that way's name.

    Args:
        attempt: takes the way and what `model` has, and runs it on a picture of `shape`; raises
            TraceError where that fails.
        model: for the sentence that tells the last failure.
        shape: likewise, with the batch.
        ways: "meta", "fake" or a device's name.
        behind: called behind each way, when nothing of it runs any more.

    Raises:
        UsageError: the picture is empty.
        InputError: it fails in all ways; with the last error's own words and the module's path.
    """
    if min(shape, default=0) < 1:
        raise UsageError(
            f"a picture of {times(shape)} is empty; every side and the batch must be >= 1."
        )
    has = members(model)
    one_of_each_kind = {type(t): t for t in (*has.parameters, *has.buffers)}
    if any(map(is_lazy, one_of_each_kind.values())):
        name = type(model).__name__
        raise InputError(f"{name} cannot be counted: a lazy layer has no shape. Run it once first.")
    for way in ways:
        try:
            with _ALONE, random_state_kept(), _room_for_hooks(), left_alone(has), _any_caller():
                return attempt(way, has), way
        except ConvariumError:
            raise
        except TraceError as error:
            last = error
            _forget_frames(error)
            if _ONE_VALUE in str(error.__cause__):
                break  # it is so on all devices
        finally:
            behind()
    raise InputError(_sentence(model, shape, last))


def _forget_frames(error: BaseException | None) -> None:
    """Lets the tensors go that the code was at work on when it failed."""
    while error is not None:
        clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _sentence(model: nn.Module, shape: tuple[int, ...], error: TraceError) -> str:
    where = f" in {error.path}" if error.path else ""
    cause = _words(error.__cause__)
    text = f"{type(model).__name__}{where} cannot take a picture of {times(shape)}: {cause}"
    if _ONE_VALUE in cause:
        return f"{text}. Give a batch of 2 or more."
    if isinstance(error.__cause__, TypeError) and "forward()" in cause:
        return f"{text.rstrip('.')}. {_WRAP}"
    if isinstance(error.__cause__, _OTHER_INPUT) and not error.path:
        return f"{text.rstrip('.')}. If it takes something else: {_WRAP[0].lower()}{_WRAP[1:]}"
    return text


# What tables and indices say of values with a fraction, on meta and on the CPU.
_WHOLE_WANTED = ("Long, Int", "long or int", "LongTensor", "must be long, int", "int32/int64")
_ONE_VALUE = "more than 1 value per channel"  # a batch norm in training

# What a module itself raises that looks for keys, pairs or targets in a picture.
_OTHER_INPUT = (TypeError, LookupError, AttributeError, ValueError, AssertionError)


def _words(error: BaseException | None) -> str:
    """What a cause says; of an end of the program and of some operators, what they are."""
    if error is None:
        return ""
    words = first_words(error)
    if isinstance(error, SystemExit):
        return f"it ends the program ({type(error).__name__} {words})"
    if over := re.search(r"HigherOrderOperator '?(\w+)", words):
        return f"it calls torch's {over[1]}, an operator over functions that no trace looks into"
    return said(error)


def _any_caller() -> torch.inference_mode:
    """Within, tensors can have gradients, though the caller may be in inference mode."""
    return torch.inference_mode(False)


@contextmanager
def _room_for_hooks() -> Iterator[None]:
    """Modules nested as deep as Python allows still run: hooks and copies call more."""
    was = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * was)
    try:
        yield
    finally:
        sys.setrecursionlimit(was)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """What a trace makes lives to its end: Python's collector would look through it for nothing."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Transformers take no fast path, as on meta: it makes nested tensors of padded ones."""
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


def _trace_by(
    way: str,
    model: nn.Module,
    has: Members,
    shape: tuple[int, ...],
    *,
    grad: bool,
    leftovers: Leftovers,
) -> tuple[list[TraceRow], torch.dtype]:
    """The rows, and the type of the picture's values."""
    device = "cpu" if way == "fake" else way
    without_values = leftovers if way in ("meta", "fake") else None

    def attempt(kind: torch.dtype) -> tuple[list[TraceRow], torch.dtype]:
        try:
            picture = torch.zeros(shape, dtype=kind, device=device)
        except (RuntimeError, AssertionError) as error:  # no such device, or no room on it
            raise TraceError("") from error
        rows = trace(model, picture, grad=grad, has=has, leftovers=without_values)
        return rows, kind

    with fake_tensors() if way == "fake" else nullcontext():
        return of_some_kind(attempt, model)


def of_some_kind(attempt: Callable[[torch.dtype], _Got], model: nn.Module) -> _Got:
    """What `attempt` gives a picture of the type that `model` takes.

    That is the type of its first parameter with a fraction. Where that one is complex the picture
    may be real all the same, as in networks that go through the frequencies: it is tried first.
    Where a table of embeddings asks for whole numbers it is given zeros of those, as words.

    Raises:
        TraceError: it fails for each.
    """
    kinds = (p.dtype for p in model.parameters() if p.is_floating_point() or p.is_complex())
    kind = next(kinds, torch.get_default_dtype())
    if kind.is_complex:
        with suppress(TraceError):
            return attempt(kind.to_real())
    try:
        return attempt(kind)
    except TraceError as error:
        if not any(words in str(error.__cause__) for words in _WHOLE_WANTED):
            raise
    return attempt(torch.int64)


@contextmanager
def fake_tensors() -> Iterator[None]:
    """Fake tensors, and none of torch's own report of what fails: the next way is tried."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    was, log.disabled = log.disabled, True
    try:
        mode = FakeTensorMode(allow_non_fake_inputs=True)
        mode.cache_enabled = False  # it compares arguments, which packed weights refuse
        with mode:
            yield
    finally:
        log.disabled = was


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Puts back the random state of torch on the CPU, of Python and of NumPy."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
