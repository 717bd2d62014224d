"""Tensors without memory that torch takes for tensors of the CPU.

A shell has the shape, strides and storage identity of a real tensor and no bytes behind it. Unlike
a tensor on the meta device it says that it is on the CPU, so that everything above the kernels
(autograd, autocast, torch's choices by device) does what it does for a real one. Operators on
shells run their shape rules alone; that happens in a dispatch mode, see `Ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from convarium.trace.sparse import SPARSE, refuse_sparse

CPU = torch.device("cpu")
META = torch.device("meta")
_in_kernel = False


class Shell(Tensor):
    """A tensor of no bytes that answers "cpu" when torch asks for its device."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.prim.device.default:
            return META if _in_kernel else CPU
        raise RuntimeError(f"{func} met a tensor without memory outside of its ledger")


def shell(meta: Tensor, *, requires_grad: bool = False) -> Tensor:
    """A shell over the storage of `meta`, a tensor of the meta device."""
    return Tensor._make_subclass(
        Shell, meta, requires_grad, dispatch_device=True, device_for_backend_keys=CPU
    )


def shell_like(value: Tensor) -> Tensor:
    """A new shell with the shape, strides, type and gradient flag of `value`.

    Raises:
        RuntimeError: it is sparse.
    """
    if value.layout in SPARSE:
        refuse_sparse()
    twin = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=META)
    return shell(twin, requires_grad=value.requires_grad)


@contextmanager
def shape_rules() -> Iterator[None]:
    """Inside, operators on shells compute shapes and nothing else."""
    global _in_kernel  # noqa: PLW0603 - torch asks the class, which knows no ledger
    with torch._C._DisableTorchDispatch(), torch._C._PreserveDispatchKeyGuard():
        torch._C._set_meta_in_tls_dispatch_include(True)
        _in_kernel = True
        try:
            yield
        finally:
            _in_kernel = False
