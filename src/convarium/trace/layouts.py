"""How the CPU's kernels lay out and size their outputs, where torch's shape rules do not say.

A tensor on the meta device does not know on which device it would be, so torch's rules for it give
a convolution's output its channels first in every case, and an LSTM's workspace no size. The layout
decides what is copied later.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._prims_common import suggest_memory_format

from convarium.trace.recurrent import lstm_workspace

_LAST = (torch.channels_last, torch.channels_last_3d)
_BY_SUM, _BY_MAXIMUM = 0, 2  # how a bag of embeddings is one

# Which operand's layout is kept by operators of which torch's rules do not say so.
_KEEPS = {
    **dict.fromkeys("native_group_norm pixel_shuffle pixel_unshuffle".split(), 0),
    **dict.fromkeys("reflection_pad2d replication_pad2d".split(), 0),
    **dict.fromkeys("reflection_pad2d_backward replication_pad2d_backward".split(), 1),
}


def laid_out(name: str, args: tuple[Any, ...], out: Any) -> Any:
    """The outputs of an operator as the CPU lays them out.

    Args:
        name: of the operator.
        args: its arguments.
        out: its outputs by the shape rules of the meta device.
    """
    if name == "convolution":
        return _in_layout(out, _of_convolution(args[0], args[1]))
    if name == "convolution_backward":
        layout = _of_convolution(args[1], args[2])
        return (*(_in_layout(value, layout) for value in out[:2]), *out[2:])
    if name in _KEEPS:
        return _kept(args[_KEEPS[name]], out)
    if name in ("_embedding_bag", "_embedding_bag_forward_only"):
        return _bagged(args, out)
    if name == "mkldnn_rnn_layer" and args[15]:  # for training
        x, to_state = args[0], args[2]
        steps, batch, inputs = x.shape
        nbytes = lstm_workspace(steps, batch, inputs, to_state.shape[1], x.element_size())
        return (*out[:3], out[3].new_empty(nbytes))
    return out


def channels_last(value: Tensor) -> bool:
    """Whether the strides are those of channels last, of one pixel also such as say so.

    torch takes them so (`suggest_memory_format`).
    """
    strides = value.stride()
    if value.dim() < 4 or (strides[-1] == 1 and value.shape[1] > 1):  # a short cut
        return False
    return suggest_memory_format(value) in _LAST


def _of_convolution(x: Tensor, weight: Tensor) -> torch.memory_format:
    """Channels last where an operand has them so (`mkldnn_conv_use_channels_last` in ATen)."""
    if x.dtype == torch.float64 or not (channels_last(x) or channels_last(weight)):
        return torch.contiguous_format
    return _LAST[x.dim() - 4]


def _bagged(args: tuple[Any, ...], out: Any) -> Any:
    """Of weight, ids, offsets, ...: a sum keeps no bag of each id, if no id is padding.

    Only of maxima is there an id a value; else it is one a bag, of nothing.
    """
    mode, padding = args[4] if len(args) > 4 else 0, args[8] if len(args) > 8 else -1
    made, bags, sizes, maxima = out
    if mode == _BY_SUM and padding < 0:
        bags = bags.new_empty(0)
    return made, bags, sizes, maxima if mode == _BY_MAXIMUM else torch.empty_like(sizes)


def _kept(x: Tensor, out: Any) -> Any:
    """The first output in the layout of `x`."""
    if not channels_last(x):
        return out
    if isinstance(out, Tensor):
        return _in_layout(out, _LAST[x.dim() - 4])
    return (_in_layout(out[0], _LAST[x.dim() - 4]), *out[1:])


def _in_layout(value: Tensor | None, layout: torch.memory_format) -> Tensor | None:
    if value is None or value.is_contiguous(memory_format=layout):
        return value
    return torch.empty_like(value, memory_format=layout)
