"""What the CPU's fused attention allocates and gives back within one call.

It takes queries and keys a block at a time and keeps no matrix of all pairs. The sizes are those of
FlashAttentionKernel.cpp in ATen; bfloat16 is packed as on a CPU with AMX.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from convarium.cost.scratch import LEAST_PRODUCT, plain_operands, turned_operands
from convarium.trace.arguments import tensors

_KEYS = 512  # keys at a time
_QUERIES = ((768, 256), (192, 64), (0, 32))  # of so many queries or more, so many at a time
_LEAST_PACKED = 64  # queries, and keys
_FEWEST_USES = 4  # of a packed key, by a thread


class _Blocks(NamedTuple):
    """Heads of the whole batch, queries, keys, width of a head; what is taken at a time."""

    heads: int
    queries: int
    keys: int
    width: int
    some_queries: int
    some_keys: int

    @property
    def pairs(self) -> int:
        """Of a query and a key, at a time."""
        return self.some_queries * self.some_keys

    def are_packed(self) -> bool:
        """Whether bfloat16 keys and values are: where many queries use them."""
        if min(self.queries, self.keys) < _LEAST_PACKED:
            return False
        turns = self.heads * -(-self.queries // self.some_queries)
        each = -(-turns // torch.get_num_threads())
        return each * self.some_queries >= _FEWEST_USES * self.heads


def _blocks(query: Tensor, key: Tensor) -> _Blocks:
    """Of (N, heads, queries, width) and (N, heads, keys, width)."""
    queries, keys = query.shape[2], key.shape[2]
    most = next(some for least, some in _QUERIES if queries >= least)
    heads, width = prod(query.shape[:2]), query.shape[3]
    return _Blocks(heads, queries, keys, width, min(most, queries), min(_KEYS, keys))


def _attention(args: tuple[Any, ...], out: Any) -> int:
    """Of query, key, value, ...: a thread's scores, their maxima and sums, and its output."""
    query, key = args[:2]
    blocks, threads = _blocks(query, key), torch.get_num_threads()
    rows = blocks.some_keys + 2 + blocks.width
    made = sum(t.nbytes for t in tensors(out)) + threads * blocks.some_queries * rows * _sum(query)
    if query.element_size() > 2:
        return made
    packed = query.dtype == torch.bfloat16 and blocks.are_packed()
    some_keys = _even(blocks.some_keys) if packed else blocks.some_keys
    halves = threads * blocks.some_queries * some_keys
    return made + 2 * (halves + _packed(blocks) if packed else halves)


def _packed(blocks: _Blocks) -> int:
    """Values of all keys and values in oneDNN's order, and each thread's of keys turned about."""
    threads, width = torch.get_num_threads(), _even(blocks.width)
    keys = blocks.heads * width * blocks.keys
    tail = (blocks.keys - 1) % blocks.some_keys + 1
    whole = (blocks.keys - tail) // blocks.some_keys * _even(blocks.some_keys) + _even(tail)
    values = blocks.heads * whole * blocks.width
    queries = threads * blocks.some_queries * width if width > blocks.width else 0
    return keys + values + queries + threads * blocks.some_keys * blocks.width


def _attention_backward(args: tuple[Any, ...], out: Any) -> int:
    """Of grad, query, key, ...: a thread's scores and their gradients, twice over in halves.

    A gradient that lies head by head is copied; the products of halves take scratch of oneDNN's.
    """
    grad, query, key = args[:3]
    blocks, threads = _blocks(query, key), torch.get_num_threads()
    made = sum(t.nbytes for t in tensors(out))
    copy = 0 if _lies_by_steps(grad) else grad.nbytes
    pairs = 2 * blocks.pairs * (_sum(query) + (2 if query.element_size() == 2 else 0))
    sums = blocks.some_queries * _sum(query)
    return made + copy + threads * (pairs + sums + _products(blocks, grad))


def _products(blocks: _Blocks, grad: Tensor) -> int:
    """The largest of a block's: the gradient of keys or values, or that of queries."""
    if grad.dtype != torch.bfloat16 or blocks.pairs * blocks.width <= LEAST_PRODUCT:
        return 0
    of_keys = turned_operands(blocks.some_keys, blocks.some_queries)
    return max(of_keys, plain_operands(blocks.some_keys, blocks.width))


def _lies_by_steps(value: Tensor) -> bool:
    """Whether (N, heads, steps, width) lies as (N, steps, heads, width)."""
    apart = 1
    for axis in (3, 1, 2, 0):
        if value.shape[axis] > 1 and value.stride(axis) != apart:
            return False
        apart *= value.shape[axis]
    return True


def _sum(value: Tensor) -> int:
    """Bytes of a number in which such values are summed."""
    return max(4, value.element_size())


def _even(number: int) -> int:
    return number + number % 2


ATTENTION = {
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
}
