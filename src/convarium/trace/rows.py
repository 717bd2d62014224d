"""What a trace yields: one row a call of a leaf module, or of an operator outside any leaf."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What cost formulas need of a tensor.

    `grad` says whether autograd would compute a gradient for it; it is False outside a trace with
    gradients.
    """

    shape: tuple[int, ...]
    itemsize: int
    grad: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor when it is stored densely."""
        return self.itemsize * prod(self.shape)


@dataclass(frozen=True, slots=True)
class Op:
    """One call of an operator that reached the dispatcher.

    `name` is the operator's: bare for torch's own ("convolution"), with its namespace for others
    ("mylib::attention"). `args` and `kwargs` are its arguments with every tensor replaced by its
    TensorSpec. `nature` is "view" (moves no data), "pointwise", "reduction" or "other", as torch
    itself declares it. `in_place` says that it writes into one of its arguments.
    """

    name: str
    nature: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[TensorSpec, ...]
    in_place: bool = False


@dataclass(slots=True, eq=False)
class TraceRow:
    """One call of a leaf module (`kind` is its class) or of a bare operator (`kind` is its name).

    `name` is the path of the leaf, or the path of the enclosing module with the operator's name;
    `call` numbers the calls of the same name from 0; `params` counts the trainable values that no
    earlier row has counted. `receptive_field` is one side in input pixels, of the channel that
    sees most, and `receptive_field_min` of the one that sees least; None where the row sees the
    whole picture, no picture at all, or the trace cannot tell. `stride` is the step in input pixels
    from one output pixel to the next, `offset` the centre of what the first one sees, in pixels
    from the centre of the picture's first pixel. `inputs` has the places in the trace of the rows
    that feed this one, in the order met, as keys.
    """

    name: str
    kind: str
    call: int
    output_shape: tuple[int, ...] = ()
    output_bytes: int = 0
    params: int = 0
    ops: list[Op] = field(default_factory=list)
    receptive_field: int | None = None
    receptive_field_min: int | None = None
    stride: float | None = None
    offset: float | None = None
    inputs: dict[int, None] = field(default_factory=dict)
