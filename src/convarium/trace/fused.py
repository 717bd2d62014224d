"""torch's fused layers of inference, in the operators that their CPU kernels are made of.

No dispatch shows what such a kernel makes and gives back within, and torch's shape rules know its
outputs alone. A ledger runs these in its stead; what they hold, and until when, is the kernels' own
(`native_multi_head_attention_cpu` and `transformer_encoder_layer_forward` in ATen).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor


class _Attention(NamedTuple):
    """The arguments of `_native_multi_head_attention`."""

    query: Tensor
    key: Tensor
    value: Tensor
    width: int
    heads: int
    qkv_weight: Tensor
    qkv_bias: Tensor
    proj_weight: Tensor
    proj_bias: Tensor
    mask: Tensor | None = None
    need_weights: bool = True
    average_attn_weights: bool = True
    mask_type: int | None = None

    def parts(self) -> Tensor:
        """Queries, keys, values (3, N, heads, T, width / heads), queries divided by its root."""
        (count, steps, width), heads = self.query.shape, self.heads
        qkv = _projected(self.query, self.key, self.value, self.qkv_weight)
        qkv = qkv.view(count, steps, 3, heads, width // heads)
        parts = qkv.new_empty((3, count, heads, steps, width // heads))
        parts.copy_(qkv.permute(2, 0, 3, 1, 4)).add_(self.qkv_bias.view(3, 1, heads, 1, -1))
        parts[0].div_(sqrt(width // heads))
        return parts

    def masked(self, pairs: Tensor) -> Tensor:
        """Pairs (N, heads, T, T) without those that the mask hides, new where there is one."""
        if self.mask is None:
            return pairs
        hides = self.mask.to(torch.bool)
        of_keys = self.mask_type == 1  # (N, T)
        return pairs.masked_fill(hides[:, None, None] if of_keys else hides, -inf)


class _Layer(NamedTuple):
    """The arguments of `_transformer_encoder_layer_fwd`."""

    src: Tensor
    width: int
    heads: int
    qkv_weight: Tensor
    qkv_bias: Tensor
    proj_weight: Tensor
    proj_bias: Tensor
    use_gelu: bool
    norm_first: bool
    eps: float
    norm_weight_1: Tensor
    norm_bias_1: Tensor
    norm_weight_2: Tensor
    norm_bias_2: Tensor
    wide_weight: Tensor
    wide_bias: Tensor
    back_weight: Tensor
    back_bias: Tensor
    mask: Tensor | None = None
    mask_type: int | None = None

    def first_norm(self, x: Tensor) -> Tensor:
        return torch.layer_norm(x, (self.width,), self.norm_weight_1, self.norm_bias_1, self.eps)

    def second_norm(self, x: Tensor) -> Tensor:
        return torch.layer_norm(x, (self.width,), self.norm_weight_2, self.norm_bias_2, self.eps)


def _attention(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
    """`nn.MultiheadAttention` without gradients: all the weights of a batch at once."""
    with torch.autocast("cpu", enabled=False):  # the operands have the type that it gave them
        return _attend(_Attention(*args, **kwargs))


def _attend(call: _Attention) -> tuple[Tensor, Tensor | None]:
    parts = call.parts()
    _, count, heads, steps, each = parts.shape
    q, k, v = parts.view(3, count * heads, steps, each).unbind()
    pairs = torch.bmm(q, k.transpose(1, 2)).view(count, heads, steps, steps)
    pairs = call.masked(pairs)
    torch.ops.aten._softmax.out(pairs, -1, False, out=pairs)
    torch.bmm(pairs.view(-1, steps, steps), v, out=q)
    if not call.need_weights:
        del pairs
    made = _joined(q.view(count, heads, steps, each), call.proj_weight, call.proj_bias)
    if not call.need_weights:
        return made, None
    return made, pairs.sum(1).div_(heads) if call.average_attn_weights else pairs


def _projected(query: Tensor, key: Tensor, value: Tensor, weight: Tensor) -> Tensor:
    """Query, key and value (N, T, 3 D), by one product where they are one tensor."""
    if query is key is value:
        return torch.matmul(query, weight.t())
    if key is value:
        parts = weight.tensor_split([len(weight) // 3])
        made = [torch.matmul(x, w.t()) for x, w in zip((query, key), parts, strict=True)]
    else:
        parts = weight.chunk(3)
        made = [torch.matmul(x, w.t()) for x, w in zip((query, key, value), parts, strict=True)]
    return torch.cat(made, 2)


def _joined(heads: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(N, heads, T, D / heads) to (N, T, D), through the last layer."""
    count, _, steps, _ = heads.shape
    rows = heads.transpose(1, 2).contiguous().view(count * steps, -1)
    return torch.addmm(bias, rows, weight.t()).view(count, steps, -1)


def _encoder_layer(*args: Any, **kwargs: Any) -> Tensor:
    """`nn.TransformerEncoderLayer` without gradients."""
    call = _Layer(*args, **kwargs)
    x = call.first_norm(call.src) if call.norm_first else call.src
    x = torch.ops.aten._native_multi_head_attention(
        *(x, x, x, call.width, call.heads, call.qkv_weight, call.qkv_bias),
        *(call.proj_weight, call.proj_bias, call.mask, False, True, call.mask_type),
    )[0]
    x.add_(call.src)
    if not call.norm_first:
        x = call.first_norm(x)
    kept = x
    if call.norm_first:
        x = call.second_norm(x)
    hidden = torch.addmm(call.wide_bias, x.view(-1, call.width), call.wide_weight.t())
    (torch.ops.aten.gelu_ if call.use_gelu else torch.relu_)(hidden)
    x = torch.addmm(call.back_bias, hidden, call.back_weight.t()).view(kept.shape)
    del hidden
    x.add_(kept)
    return x if call.norm_first else call.second_norm(x)


FUSED: dict[str, Callable[..., Any]] = {
    "_native_multi_head_attention": _attention,
    "_transformer_encoder_layer_fwd": _encoder_layer,
}
