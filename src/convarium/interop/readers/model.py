"""What every reader gives. Torch is named in types only: readers in the jail do without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Said:
    """What a file says of one layer beside its weights.

    `kind` is "conv" (settings "stride", "pad"), "pool" ("pooling", "kernel", "stride", "pad",
    "whole", "up" for sides rounded up), "lrn" ("n", "k", "alpha" on the sum, "beta") or "sum".
    `below` and `top` name what it reads and what it writes.
    """

    name: str
    kind: str
    settings: Mapping[str, object]
    below: str
    top: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a reader tells beside the numbers.

    Args:
        ecosystem: "caffe" or "keras" where the format tells, None where names have to.
        maps_last: a flattened map runs over height, width, channel (TensorFlow).
        norm_eps: epsilon of the batch norms where the file tells.
        ordered: the layers stand in the order in which they run.
        network: the network of ours whose weights the file says it holds.
        said: what the file says of its layers beside their weights; empty where it does not.
    """

    ecosystem: str | None = None
    maps_last: bool = False
    norm_eps: float | None = None
    ordered: bool = True
    notes: tuple[str, ...] = field(default=())
    said: tuple[Said, ...] = ()
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Foreign(About):
    """Tensors of a file in PyTorch's layouts, under the file's own names.

    Args:
        tensors: "layer.role" -> tensor; roles are PyTorch's (weight, bias, running_mean ..).
        label: the file in messages.
    """

    tensors: Mapping[str, Tensor]
    label: str


@dataclass(frozen=True, slots=True)
class Arrays(About):
    """The same from a reader in the jail, which does without torch: arrays of NumPy."""

    arrays: Mapping[str, np.ndarray]
