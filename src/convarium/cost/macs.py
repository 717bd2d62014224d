"""Multiply-adds of an operator from its shapes alone.

MACs are those of convolutions, linear layers and matrix products. Bias, normalisation, activation,
pooling, resize and element-wise work count 0. An operator that is in neither list is unknown: the
total is then a lower bound and names it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from convarium.trace import Op


def _convolution(op: Op) -> int:
    x, weight, out = op.args[0], op.args[1], op.outputs[0]
    transposed = op.args[6]
    # A transposed convolution uses each weight once per input pixel, a plain one per output pixel.
    pixels = prod(x.shape[2:]) if transposed else prod(out.shape[2:])
    return x.shape[0] * pixels * prod(weight.shape)


def _mm(op: Op) -> int:
    left, right = op.args[0], op.args[1]
    return prod(left.shape) * right.shape[-1]


def _addmm(op: Op) -> int:
    left, right = op.args[1], op.args[2]
    return prod(left.shape) * right.shape[-1]


def _mv(op: Op) -> int:
    return prod(op.args[0].shape)


_FORMULAS: dict[str, Callable[[Op], int]] = {
    "convolution": _convolution,
    "mm": _mm,
    "bmm": _mm,
    "addmm": _addmm,
    "baddbmm": _addmm,
    "mv": _mv,
    "dot": _mv,
}
_SHAPES_AND_COPIES = """
    view _unsafe_view reshape permute transpose t squeeze unsqueeze expand detach alias as_strided
    slice select split split_with_sizes chunk unbind cat stack clone copy contiguous _to_copy
    constant_pad_nd reflection_pad2d index index_select index_add index_put gather repeat flip roll
    lift_fresh slice_scatter select_scatter masked_fill arange fill zero full full_like
    empty empty_like new_empty zeros zeros_like new_zeros ones ones_like new_ones scalar_tensor
    """
_REDUCTIONS = """
    sum mean amax amin max min argmax var std var_mean cumsum norm linalg_vector_norm
    _softmax _log_softmax native_batch_norm _native_batch_norm_legit cudnn_batch_norm
    _native_batch_norm_legit_no_training native_layer_norm native_group_norm
    max_pool2d_with_indices avg_pool2d avg_pool3d _adaptive_avg_pool2d adaptive_max_pool2d
    upsample_nearest2d upsample_bilinear2d im2col
    """
_RANDOM = "bernoulli native_dropout rand randn rand_like uniform normal"
_NO_MACS = frozenset(f"{_SHAPES_AND_COPIES} {_REDUCTIONS} {_RANDOM}".split())


def count_macs(op: Op) -> int | None:
    """Multiply-adds of one operator call; None when no formula knows the operator."""
    if op.name in _FORMULAS:
        return _FORMULAS[op.name](op)
    return 0 if op.nature != "other" or op.name in _NO_MACS else None
