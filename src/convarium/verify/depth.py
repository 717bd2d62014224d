"""The longest path through a network, measured while it runs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from convarium.blocks.modes import PlainMode
from convarium.trace.arguments import tensors

_CONVOLUTION, _PRODUCTS = "convolution", ("addmm", "mm")


class LongestPath(PlainMode):
    """Counts the layers with weights along the longest path, while a network runs.

    `depth` counts convolutions and products with a weight matrix, `conv_depth` convolutions alone:
    21 and 20 for a FractalNet whose paper says 20 and whose readers say 21.
    """

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.conv_depth = 0
        self._at: dict[int, tuple[int, int]] = {}
        self._keep: list[Tensor] = []  # ids stay unique while the tensors live

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        before = [self._at.get(id(t), (0, 0)) for t in tensors(args)]
        depth = max((d for d, _ in before), default=0)
        conv_depth = max((c for _, c in before), default=0)
        name = func.overloadpacket.__name__
        depth += name == _CONVOLUTION or name in _PRODUCTS
        conv_depth += name == _CONVOLUTION
        self.depth, self.conv_depth = max(self.depth, depth), max(self.conv_depth, conv_depth)
        for t in tensors(out):
            self._at[id(t)] = (depth, conv_depth)
            self._keep.append(t)
        return out

    def __exit__(self, *error: Any) -> None:
        self._at.clear()
        self._keep.clear()
        super().__exit__(*error)

    def along(self, model: nn.Module) -> nn.Module:
        """`model` inside a module that runs it under this mode."""
        return _Under(model, self)


class _Under(nn.Module):
    """Runs a module under a mode; the mode is the innermost, so that it sees every operator."""

    def __init__(self, model: nn.Module, mode: PlainMode) -> None:
        super().__init__()
        self.net, self._mode = model, mode

    def forward(self, *inputs: Tensor) -> Any:
        with self._mode:
            return self.net(*inputs)
