"""What a trace yields: one row a call of a leaf module, or of an operator outside any leaf."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

# Plain classes: writing these as dataclasses takes 2 ms of an import that may take 10.


class TensorSpec:
    """What cost formulas need of a tensor.

    `grad` says whether autograd would compute a gradient for it; it is False outside a trace with
    gradients.
    """

    __slots__ = ("grad", "itemsize", "shape")

    def __init__(self, shape: tuple[int, ...], itemsize: int, grad: bool = False) -> None:
        self.shape, self.itemsize, self.grad = shape, itemsize, grad

    @property
    def values(self) -> int:
        """How many values it has."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor when it is stored densely."""
        return self.itemsize * prod(self.shape)

    def __repr__(self) -> str:
        return f"TensorSpec({self.shape}, {self.itemsize}, {self.grad})"


class Op:
    """One call of an operator that reached the dispatcher.

    `name` is the operator's: bare for torch's own ("convolution"), with its namespace for others
    ("mylib::attention"). `args` and `kwargs` are its arguments with every tensor replaced by its
    TensorSpec; `inputs` are the specs among `args`, in order. `nature` is "view" (moves no data),
    "pointwise", "reduction" or "other", as torch itself declares it. `in_place` says that it writes
    into one of its arguments.
    """

    __slots__ = ("args", "in_place", "inputs", "kwargs", "name", "nature", "outputs")

    def __init__(
        self,
        name: str,
        nature: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        outputs: tuple[TensorSpec, ...],
        *,
        inputs: Sequence[TensorSpec] | None = None,
        in_place: bool = False,
    ) -> None:
        self.name, self.nature = name, nature
        self.args, self.kwargs = args, kwargs
        self.inputs = _specs_in(args) if inputs is None else inputs
        self.outputs, self.in_place = outputs, in_place

    def __repr__(self) -> str:
        return f"Op({self.name!r}, {self.args}, {self.kwargs}, {self.outputs})"


def _specs_in(value: Any) -> list[TensorSpec]:
    if isinstance(value, TensorSpec):
        return [value]
    return [s for v in value for s in _specs_in(v)] if isinstance(value, (list, tuple)) else []


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

    def __init__(
        self,
        name: str,
        kind: str,
        call: int,
        output_shape: tuple[int, ...] = (),
        *,
        params: int = 0,
        ops: list[Op] | None = None,
    ) -> None:
        self.name, self.kind, self.call = name, kind, call
        self.output_shape, self.output_bytes = output_shape, 0
        self.params, self.ops = params, [] if ops is None else ops
        self.receptive_field: int | None = None
        self.receptive_field_min: int | None = None
        self.stride: float | None = None
        self.offset: float | None = None
        self.inputs: dict[int, None] = {}

    def __repr__(self) -> str:
        return f"TraceRow({self.name!r}, {self.kind!r}, {self.call}, {self.output_shape})"
