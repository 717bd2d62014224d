"""One network, built on the meta device and traced once: the layers that the facts are held to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import nn

from convarium import catalog
from convarium.cost.macs import macs_of
from convarium.facts import model_facts
from convarium.nets.build import build as build_network
from convarium.trace import Op, TraceRow, trace_anyhow
from convarium.verify.depth import LongestPath

_PRODUCTS = ("addmm", "mm")
_OPERATORS = {
    "convolution": "conv",
    "addmm": "linear",
    "mm": "linear",
    "max_pool2d_with_indices": "max_pool",
    "avg_pool2d": "avg_pool",
    "_adaptive_avg_pool2d": "global_avg_pool",
    "mean": "global_avg_pool",
    "cat": "concat",
    "add": "add",
    "native_batch_norm": "norm",
    "_native_batch_norm_legit_no_training": "norm",
    "_native_batch_norm_legit": "norm",
}
_MODULES = {
    "LocalResponseNorm": "lrn",
    "ContrastNorm": "lrn",
    "EuclideanRBF": "rbf",
    "Join": "mean",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the trace, with what a paper's table says of a layer.

    `output` is without the batch. `weights` are those that multiply: no biases, no norms.
    `field` and `step` are the receptive field's side and stride in input pixels.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    params: int
    macs: int
    weights: int = 0
    inputs: int = 0  # channels or features
    kernel: int | None = None
    stride: int | None = None
    pad: int | None = None
    groups: int = 1
    field: int | None = None
    step: float | None = None
    call: int = 0  # of the same module, from 0

    @property
    def key(self) -> tuple[str, int]:
        """What no other layer has."""
        return self.name, self.call

    def is_called(self, patterns: str) -> bool:
        """True when a word of `patterns` fits a part of the dotted name, "conv*" for one."""
        parts = self.name.lower().split(".")
        return any(fnmatchcase(part, word.lower()) for word in patterns.split() for part in parts)


@dataclass(frozen=True, slots=True)
class Network:
    """A traced network. `depth` counts weighted layers on the longest path, `conv_depth` those
    of them that are convolutions."""

    name: str
    input: tuple[int, ...]
    layers: tuple[Layer, ...]
    depth: int
    conv_depth: int
    survival: float | None = None  # expected number of blocks that a training step keeps

    def select(self, patterns: str | None) -> list[Layer]:
        """The layers called so, all of them for None."""
        return [x for x in self.layers if patterns is None or x.is_called(patterns)]


def build(name: str, size: tuple[int, ...] | None = None) -> Network:
    """The catalogued network, traced at (C, H, W); at its native size when None."""
    row = catalog.find(name)
    return _build(row.name, tuple(size or model_facts(row.name).input))


@lru_cache(maxsize=256)
def _build(name: str, size: tuple[int, ...]) -> Network:
    with torch.device("meta"):
        model = build_network(name)
    return read(model, size, name=name, training=catalog.find(name).traced == "train")


def read(model: nn.Module, size: tuple[int, ...], *, name: str, training: bool = False) -> Network:
    """Traces any module at (C, H, W)."""
    path = LongestPath()
    mode = "train" if training else "eval"
    rows, _ = trace_anyhow(path.along(model), (1, *size), mode=mode)
    return Network(
        name=name,
        input=tuple(size),
        layers=tuple(_layer(row) for row in rows),
        depth=path.depth,
        conv_depth=path.conv_depth,
        survival=_survival(model),
    )


def _layer(row: TraceRow) -> Layer:
    macs = macs_of(row)
    output = row.output_shape[1:]
    kind = _kind(row, output)
    window = _window(row.ops, kind)
    if kind == "conv" and _own_output(row.ops) != output:
        # A sparse layer: kernels by the link, summed over links; what it is made of says nothing.
        window |= {"groups": 1, "inputs": 0}
    return Layer(
        name=row.name.removeprefix("net."),
        kind=kind,
        output=output,
        params=row.params,
        macs=macs,
        weights=sum(_weights(op) for op in row.ops),
        field=row.receptive_field,
        step=row.stride,
        call=row.call,
        **window,
    )


def _kind(row: TraceRow, output: tuple[int, ...]) -> str:
    """The word that the typed rows use for such a layer, "norm" or "other" beyond them."""
    names = [op.name for op in row.ops]
    if row.kind in _MODULES:
        return _MODULES[row.kind]
    found = [_OPERATORS[name] for name in names if name in _OPERATORS]
    kind = found[0] if found else "other"
    if kind == "avg_pool" and row.params:
        return "subsample"  # LeNet-5: a trained coefficient and bias on the sum of a window
    return kind


def _own_output(ops: Iterable[Op]) -> tuple[int, ...]:
    """Output of the first convolution, without the batch."""
    return next(op.outputs[0].shape[1:] for op in ops if op.name == "convolution")


def _window(ops: Iterable[Op], kind: str) -> dict[str, Any]:
    """Kernel, stride, pad, groups and input channels of the first operator that has them."""
    for op in ops:
        if op.name == "convolution":
            weight = op.args[1].shape
            return {
                "kernel": weight[-1],
                "stride": op.args[3][-1],
                "pad": op.args[4][-1],
                "groups": op.args[8],
                "inputs": op.args[0].shape[1],
            }
        if op.name in ("max_pool2d_with_indices", "avg_pool2d"):
            kernel = op.args[1][-1]
            stride = op.args[2][-1] if len(op.args) > 2 and op.args[2] else kernel
            pad = op.args[3][-1] if len(op.args) > 3 and op.args[3] else 0
            inputs = op.args[0].shape[1]
            return {"kernel": kernel, "stride": stride, "pad": pad, "inputs": inputs}
        if op.name in _PRODUCTS and kind == "linear":
            return {"inputs": op.args[-2].shape[-1]}
    return {}


def _weights(op: Op) -> int:
    if op.name == "convolution":
        return prod(op.args[1].shape)
    return prod(op.args[-1].shape) if op.name in _PRODUCTS else 0


def _survival(model: nn.Module) -> float | None:
    """The sum of the probabilities with which the blocks of stochastic depth are kept."""
    found = [getattr(m, "survival", None) for m in model.modules()]
    kept = [p for p in found if isinstance(p, float)]
    return sum(kept) if kept else None
