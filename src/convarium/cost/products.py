"""Formulas of the operators that multiply and add: convolutions, linear layers, matrix products.

Each gives, from shapes alone, the products an operator computes. The gradient of a product with
respect to each of its two operands is a product of the same size, which gives the backward count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import NamedTuple

from convarium.trace import Op, TensorSpec
from convarium.trace.sparse import SparseSpec


class Product(NamedTuple):
    """`macs` multiply-adds between `operands`."""

    macs: int
    operands: tuple[TensorSpec, ...]

    @property
    def backward(self) -> int:
        """Multiply-adds of the gradients that autograd computes: one product an operand."""
        return self.macs * sum(operand.grad for operand in self.operands)


Formula = Callable[[Op], Iterable[Product] | None]


def _convolution(op: Op) -> list[Product]:
    x, weight, out = op.args[0], op.args[1], op.outputs[0]
    transposed = len(op.args) > 6 and op.args[6]
    # A transposed convolution uses each weight once per input pixel, a plain one per output pixel.
    pixels = prod(x.shape[2:]) if transposed else prod(out.shape[2:])
    return [Product(x.shape[0] * pixels * prod(weight.shape), (x, weight))]


def _deform_conv(op: Op) -> list[Product]:
    """A convolution of what the offsets pick from the picture; the picking is interpolation."""
    x, weight, offset, mask = op.args[:4]
    out = op.outputs[0]
    picked = TensorSpec(x.shape, x.itemsize, x.grad or offset.grad or mask.grad)
    return [Product(out.shape[0] * prod(out.shape[2:]) * prod(weight.shape), (picked, weight))]


def _matrix(left: TensorSpec, right: TensorSpec) -> list[Product] | None:
    """Matrices, stacks of matrices, or a matrix and a vector; one may be sparse.

    A sparse one multiplies with each value that it stores. Of two, nobody knows which values meet.
    """
    if isinstance(right, SparseSpec):
        if isinstance(left, SparseSpec):
            return None
        return [Product(right.values * left.shape[-2], (left, right))]
    columns = right.shape[-1] if len(right.shape) > 1 else 1
    return [Product(left.values * columns, (left, right))]


def _mm(op: Op) -> list[Product] | None:
    return _matrix(op.args[0], op.args[1])


def _addmm(op: Op) -> list[Product] | None:
    return _matrix(op.args[1], op.args[2])


def _sampled(op: Op) -> list[Product]:
    """A product of two matrices, at the places alone that a sparse one stores."""
    places, left, right = op.args[:3]
    return [Product(places.values * left.shape[-1], (left, right))]


def _grouped_mm(op: Op) -> list[Product]:
    """Groups of rows, each with a matrix of its own, as of experts: (R, K) x (G, K, N).

    Or groups of columns, (G, M, K) x (K, C), or of the terms that are summed, (M, K) x (K, N).
    """
    left, right = op.args[:2]
    by_columns = len(left.shape) > len(right.shape)
    macs = left.shape[-2] * right.values if by_columns else left.values * right.shape[-1]
    return [Product(macs, (left, right))]


def _packed_linear(op: Op) -> list[Product]:
    """A linear layer whose quantised weight is packed away: x (..., K), output (..., N)."""
    x, out = op.args[0], op.outputs[0]
    return [Product(prod(x.shape) * out.shape[-1], (x,))]


def _cudnn_rnn(op: Op) -> list[Product]:
    """All layers and directions on a GPU: x of T times N rows, each weight used once a row."""
    x, weights = op.args[0], op.args[1]
    rows = prod(x.shape[:-1])
    return [Product(rows * prod(w.shape), (x, w)) for w in weights if len(w.shape) == 2]


def _outer(op: Op) -> list[Product]:
    left, right = op.args[1], op.args[2]
    return [Product(prod(left.shape) * prod(right.shape), (left, right))]


def _linear(op: Op) -> list[Product]:
    x, weight = op.args[0], op.args[1]
    return [Product(prod(x.shape[:-1]) * prod(weight.shape), (x, weight))]


def _attention(op: Op) -> list[Product]:
    """Queries (N, H, L, E), keys (N, H, S, E), values (N, H, S, V); masked positions count too."""
    query, key, value = op.args[:3]
    pairs = prod(query.shape[:-1]) * key.shape[-2]
    weights = TensorSpec((pairs,), query.itemsize, query.grad or key.grad)
    return [
        Product(pairs * query.shape[-1], (query, key)),
        Product(pairs * value.shape[-1], (weights, value)),
    ]


def _multi_head_attention(op: Op) -> list[Product]:
    """The fast path of nn.MultiheadAttention: one projection in, attention, one projection out."""
    query, key, value, width = op.args[0], op.args[1], op.args[2], op.args[3]
    proj_weight = op.args[7]
    batch, length, spaces = query.shape[0], query.shape[1], key.shape[1]
    inputs = (length + spaces + value.shape[1]) * width * width
    scores = 2 * length * spaces * width
    macs = batch * (inputs + scores + length * prod(proj_weight.shape))
    return [Product(macs, (query, proj_weight))]


def _encoder_layer(op: Op) -> list[Product]:
    """The fast path of nn.TransformerEncoderLayer: self-attention, then two linear layers."""
    x, qkv, proj = op.args[0], op.args[3], op.args[5]
    first, second = op.args[14], op.args[16]
    batch, length, width = x.shape
    weights = prod(qkv.shape) + prod(proj.shape) + prod(first.shape) + prod(second.shape)
    return [Product(batch * length * (weights + 2 * length * width), (x, qkv))]


def _mkldnn_rnn(op: Op) -> list[Product]:
    """One layer and direction of an LSTM: x (T, N, I), weights (4H, I) and (4H, H)."""
    x, w_input, w_hidden = op.args[:3]
    steps = x.shape[0] * x.shape[1]
    return [
        Product(steps * prod(w_input.shape), (x, w_input)),
        Product(steps * prod(w_hidden.shape), (x, w_hidden)),
    ]


def _distances(op: Op) -> list[Product]:
    """torch.cdist of many rows: (P, M) and (R, M), each with its norm and a one, multiplied."""
    left, right = op.args[:2]
    macs = prod(left.shape[:-1]) * right.shape[-2] * (left.shape[-1] + 2)
    return [Product(macs, (left, right))]


def _time_first_convolution(op: Op) -> list[Product]:
    """conv_tbc: x (T, N, C), weight (k, C, O)."""
    x, weight, out = op.args[0], op.args[1], op.outputs[0]
    return [Product(out.shape[0] * out.shape[1] * prod(weight.shape), (x, weight))]


def _trilinear(op: Op) -> list[Product]:
    """nn.Bilinear: (N, 1, I1, 1) x (1, O, I1, I2) x (N, 1, 1, I2) before the expansions."""
    first, weight, second = op.args[:3]
    return [Product(first.shape[0] * prod(weight.shape), (first, weight, second))]


_ATTENTION = (
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_attention_math",
    "_scaled_dot_product_fused_attention_overrideable",
)
FORMULAS: dict[str, Formula] = {
    "convolution": _convolution,
    "_convolution": _convolution,
    "cudnn_convolution": _convolution,
    "conv_tbc": _time_first_convolution,
    "_euclidean_dist": _distances,
    "torchvision::deform_conv2d": _deform_conv,
    "mm": _mm,
    "bmm": _mm,
    "mv": _mm,
    "dot": _mm,
    "vdot": _mm,
    "_int_mm": _mm,
    "_scaled_mm": _mm,
    "addmm": _addmm,
    "_sparse_addmm": _addmm,
    "_sparse_mm_reduce_impl": _mm,
    "sparse_sampled_addmm": _sampled,
    "_grouped_mm": _grouped_mm,
    "_cudnn_rnn": _cudnn_rnn,
    "quantized::linear_dynamic": _packed_linear,
    "quantized::linear_dynamic_fp16": _packed_linear,
    "quantized::linear_relu_dynamic": _packed_linear,
    "quantized::linear": _packed_linear,
    "quantized::linear_relu": _packed_linear,
    "addmv": _addmm,
    "addbmm": _addmm,
    "baddbmm": _addmm,
    "_addmm_activation": _addmm,
    "addr": _outer,
    "linear": _linear,
    "_native_multi_head_attention": _multi_head_attention,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "mkldnn_rnn_layer": _mkldnn_rnn,
    "_trilinear": _trilinear,
    **dict.fromkeys(_ATTENTION, _attention),
}
