"""Traces a module the cheapest way that works: shapes alone, then fake tensors, then for real."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.parameter import is_lazy

from convarium.errors import ConvariumError, InputError, UsageError
from convarium.trace.rows import TraceRow
from convarium.trace.tracer import TraceError, trace

WAYS = ("meta", "fake", "cpu")
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

    def attempt(way: str) -> list[TraceRow]:
        with _as_it_was(model, mode):
            return _trace_by(way, model, shape, grad)

    return first_way(attempt, model, shape, WAYS if device == "meta" else [device])


def first_way(
    attempt: Callable[[str], _Got], model: nn.Module, shape: tuple[int, ...], ways: Sequence[str]
) -> tuple[_Got, str]:
    """What `attempt` gives the first of `ways` that works, and that way's name.

    Args:
        attempt: runs `model` on a picture of `shape`; raises TraceError where that fails.
        model: for the sentence that tells the last failure.
        shape: likewise, with the batch.
        ways: "meta", "fake" or a device's name.

    Raises:
        UsageError: the picture is empty.
        InputError: it fails in all ways; with the last error's own words and the module's path.
    """
    if min(shape, default=0) < 1:
        size = "x".join(map(str, shape))
        raise UsageError(f"a picture of {size} is empty; every side and the batch must be >= 1.")
    if any(is_lazy(t) for t in (*model.parameters(), *model.buffers())):
        kind = type(model).__name__
        raise InputError(f"{kind} cannot be counted: a lazy layer has no shape. Run it once first.")
    for way in ways:
        try:
            with random_state_kept():
                return attempt(way), way
        except ConvariumError:
            raise
        except TraceError as error:
            last = error
    raise InputError(_sentence(model, shape, last))


def _sentence(model: nn.Module, shape: tuple[int, ...], error: TraceError) -> str:
    where = f" in {error.path}" if error.path else ""
    cause = " ".join(str(error.__cause__).split())
    size = "x".join(map(str, shape))
    text = f"{type(model).__name__}{where} cannot take a picture of {size}: {cause}"
    if isinstance(error.__cause__, TypeError) and "forward()" in cause:
        text = f"{text.rstrip('.')}. {_WRAP}"
    return text


def _trace_by(way: str, model: nn.Module, shape: tuple[int, ...], grad: bool) -> list[TraceRow]:
    device = "cpu" if way == "fake" else way
    with fake_tensors() if way == "fake" else nullcontext():
        try:
            picture = torch.zeros(shape, device=device)
        except (RuntimeError, AssertionError) as error:  # no such device, or no room on it
            raise TraceError("") from error
        return trace(model, picture, grad=grad)


@contextmanager
def fake_tensors() -> Iterator[None]:
    """Fake tensors, and none of torch's own report of what fails: the next way is tried."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    was, log.disabled = log.disabled, True
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
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


@contextmanager
def _as_it_was(model: nn.Module, mode: str) -> Iterator[None]:
    """Runs in `mode`; puts back each submodule's own mode and the buffers."""
    modes = {module: module.training for module in model.modules()}
    written = model.buffers() if mode == "train" else ()
    buffers = [(b, b.clone(), b._version) for b in written]
    try:
        model.train(mode == "train")
        yield
    finally:
        for module, was in modes.items():
            module.training = was
        with torch.no_grad():
            for buffer, value, version in buffers:
                buffer.copy_(value)
                torch._C._autograd._unsafe_set_version_counter((buffer,), (version,))
