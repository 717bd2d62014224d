"""Building and running on the meta device without doing the same sum twice.

Shapes of a batch normalisation or a ReLU are worked out in Python there, about a millisecond each;
a network of 1,202 layers asks the same question 1,200 times. Each is answered once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convarium.trace.trees import map_leaves, tensors_in


class WithoutValues(TorchDispatchMode):
    """Skips what only fills tensors of the meta device with values, such as `normal_`."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if args and _is_meta(args[0]) and func.overloadpacket.__name__ in _FILLS:
            return args[0]
        return func(*args, **(kwargs or {}))


class Answers:
    """Remembers an operator's output shapes by its arguments' shapes.

    Only on the meta device, where there is nothing else to an output, and only where the outputs
    are tensors of their own: views and in-place operators run as ever.
    """

    def __init__(self) -> None:
        self._answers: dict[Any, Any] = {}

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `func` gives, worked out anew or made from an earlier answer."""
        tensors = tensors_in(args)
        is_known_kind = _makes_new_tensors(func) and tensors and all(t.is_meta for t in tensors)
        if not is_known_kind or tensors_in(tuple(kwargs.values())):
            return func(*args, **kwargs)
        key = (func, _word(args), _word(tuple(kwargs.items())))
        if key not in self._answers:
            out = func(*args, **kwargs)
            self._answers[key] = map_leaves(_Answer.of, out)
            return out
        answer = self._answers[key]
        return answer.again() if isinstance(answer, _Answer) else map_leaves(_again, answer)


class _Answer:
    """Shape, strides and type of one output."""

    def __init__(self, t: Tensor) -> None:
        self.size, self.stride, self.dtype = t.shape, t.stride(), t.dtype

    @staticmethod
    def of(value: Any) -> Any:
        return _Answer(value) if isinstance(value, Tensor) else value

    def again(self) -> Tensor:
        return torch.empty_strided(self.size, self.stride, dtype=self.dtype, device="meta")


_FILLS = frozenset({"normal_", "uniform_", "fill_", "zero_", "copy_", "mul_", "add_", "erfinv_"})


def _again(value: Any) -> Any:
    return value.again() if isinstance(value, _Answer) else value


def _is_meta(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_meta


def _word(value: Any) -> Any:
    """A hashable stand-in for one argument."""
    if isinstance(value, Tensor):
        return (value.shape, value.stride(), value.dtype)
    if isinstance(value, (list, tuple)):
        return tuple(_word(v) for v in value)
    return (type(value), value)


@cache
def _makes_new_tensors(func: Any) -> bool:
    """True when no output shares memory with an input."""
    return all(returned.alias_info is None for returned in func._schema.returns)
