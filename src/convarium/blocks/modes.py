"""The dispatch mode that ours are made of: torch's own, without the compiler that it would load."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class PlainMode(TorchDispatchMode):
    """A mode under which torch.compile compiles nothing, and that does not load it.

    torch hides each call of a mode from the compiler, and loads all of `torch._dynamo` for it at
    the first operator: a second and more. Here the compiler is told once, where it is loaded, to
    leave everything be; a mode within code that is being compiled can only be hidden.
    """

    _plain: Any
    _hidden: Any

    def __init__(self) -> None:
        super().__init__()
        self._stances: list[Any] = []  # of the compiler, one for each time that this was entered

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__torch_dispatch__" in vars(cls):
            cls._plain = vars(cls)["__torch_dispatch__"]
            cls._hidden = torch._disable_dynamo(cls._plain, recursive=True)

    def takes_apart(self, func: Any) -> bool:
        """Whether `func` comes whole, under `torch.inference_mode`, and has parts."""
        return torch.is_inference_mode_enabled() and func._can_decompose()

    def in_parts(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `func` gives, taken apart into the operators below autograd, which this mode meets.

        Under `torch.inference_mode` torch hands over "linear" or "conv2d" whole: it leaves the
        layers out that take them apart.
        """
        with self:
            return func.decompose(*args, **kwargs)

    def __enter__(self) -> Any:
        kind, loaded = type(self), "torch._dynamo" in sys.modules
        stance = _eager() if loaded else None
        hidden = loaded and stance is None
        kind.__torch_dispatch__ = kind._hidden if hidden else kind._plain  # type: ignore
        self._stances.append(stance)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        stance = self._stances.pop()
        if stance is not None:
            stance.__exit__(None, None, None)


def _eager() -> Any:
    """The compiler's stance to compile nothing, taken; None within code that it compiles."""
    try:
        return torch.compiler.set_stance("force_eager")
    except RuntimeError:
        return None
