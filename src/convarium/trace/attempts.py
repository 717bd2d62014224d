"""Traces a module the cheapest way that works: shapes alone, then fake tensors, then for real."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from convarium.errors import ConvariumError, InputError
from convarium.trace.rows import TraceRow
from convarium.trace.tracer import TraceError, trace

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
    ways = [device] if device != "meta" else ["meta", "fake", "cpu"]
    for way in ways:
        try:
            with _as_it_was(model, mode):
                return _trace_by(way, model, shape, grad), way
        except ConvariumError:
            raise
        except TraceError as error:
            last = error
    where = f" in {last.path}" if last.path else ""
    cause = " ".join(str(last.__cause__).split())
    size = "x".join(map(str, shape))
    text = f"{type(model).__name__}{where} cannot take a picture of {size}: {cause}"
    if isinstance(last.__cause__, TypeError) and "forward()" in cause:
        text = f"{text.rstrip('.')}. {_WRAP}"
    raise InputError(text)


def _trace_by(way: str, model: nn.Module, shape: tuple[int, ...], grad: bool) -> list[TraceRow]:
    device = "cpu" if way == "fake" else way
    with _fake() if way == "fake" else nullcontext():
        return trace(model, torch.zeros(shape, device=device), grad=grad)


@contextmanager
def _fake() -> Iterator[None]:
    """Fake tensors, and none of torch's own report of what fails: the next way is tried."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    was, log.disabled = log.disabled, True
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        log.disabled = was


@contextmanager
def _as_it_was(model: nn.Module, mode: str) -> Iterator[None]:
    """Runs in `mode`; puts back each submodule's own mode, the buffers and the random state."""
    modes = {module: module.training for module in model.modules()}
    buffers = [(b, b.clone(), b._version) for b in model.buffers() if _written_in(mode, b)]
    try:
        with torch.random.fork_rng(devices=[]):
            model.train(mode == "train")
            yield
    finally:
        for module, was in modes.items():
            module.training = was
        with torch.no_grad():
            for buffer, value, version in buffers:
                buffer.copy_(value)
                torch._C._autograd._unsafe_set_version_counter((buffer,), (version,))


def _written_in(mode: str, buffer: Tensor) -> bool:
    return mode == "train" and buffer.device.type != "meta"
