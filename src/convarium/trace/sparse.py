"""Sparse tensors: what they store is known by their values alone, so never on the meta device."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from convarium.trace.rows import TensorSpec

SPARSE = frozenset(
    (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
)


class SparseSpec(TensorSpec):
    """A sparse tensor: `values` are stored, with `index_bytes` that say where."""

    __slots__ = ("index_bytes", "stored")

    def __init__(
        self, shape: tuple[int, ...], itemsize: int, grad: bool, stored: int, index_bytes: int
    ) -> None:
        super().__init__(shape, itemsize, grad)
        self.stored, self.index_bytes = stored, index_bytes

    @property
    def values(self) -> int:
        """How many values are stored."""
        return self.stored

    @property
    def nbytes(self) -> int:
        """Bytes of the values and of their places."""
        return self.itemsize * self.stored + self.index_bytes


def sparse_spec(tensor: Tensor, *, grad: bool) -> SparseSpec:
    """The spec of a sparse tensor.

    Raises:
        RuntimeError: it has no values to count.
    """
    held = tensor._values() if tensor.is_sparse else tensor.values()
    if held.is_meta or isinstance(held, FakeTensor):  # of a real one too, in a mode of fake ones
        refuse_sparse()
    places = _places(tensor)
    return SparseSpec(
        tuple(tensor.shape),
        tensor.element_size(),
        grad,
        held.numel(),
        sum(t.nbytes for t in places),
    )


def refuse_sparse() -> NoReturn:
    """What a product with a sparse tensor takes cannot be told without its values.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("how many values a sparse tensor stores is not known without them")


def _places(tensor: Tensor) -> tuple[Tensor, ...]:
    if tensor.is_sparse:
        return (tensor._indices(),)
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices()
    return tensor.ccol_indices(), tensor.row_indices()
