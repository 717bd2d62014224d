"""What CPU kernels other than convolutions allocate and give back within one call.

Each rule gives the most bytes that live within the call beyond those before it, outputs included.
What is said to be "about" was read off oneDNN's own allocations.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from convarium.cost.weight_gradients import BLOCK, padded
from convarium.trace.arguments import tensors
from convarium.trace.recurrent import gates_bytes, good_stride

_HALVES = (torch.bfloat16, torch.float16)
LEAST_PRODUCT = 16**3  # multiply-adds: smaller products do not go to oneDNN
_FEW_ROWS = 256  # below them, a transposed right-hand side is copied 32 columns at a time
_MOST_COPIED = 1152 * 1024  # bytes of an operand that oneDNN copies at once, about
_LEAST_COPIED = 5 * 1024
_MANY = 512  # terms of a sum: oneDNN then adds in parts
_MOST_TURNED = 740 * 1024  # bytes of turned operands at once, about
_LEAST_TURNED = 5 * 1024 + 128
_MOST_DEFORMED = 32  # pictures
_BY_MAXIMUM = 2  # how a bag of embeddings is one
_LSTM_BYTES = 12_856  # oneDNN's own, of any size


def _product(args: tuple[Any, ...], out: Any) -> int:
    """Of (bias,) left, right."""
    left, right = args[-2:]
    (rows, inner), columns = left.shape[-2:], right.shape[-1]
    stack = prod(left.shape[:-2])
    made = out.nbytes
    if left.dtype not in _HALVES or stack * rows * inner * columns <= LEAST_PRODUCT:
        return made
    copies = sum(0 if _is_plain(t) else t.nbytes for t in (left, right))
    return made + copies + _operands(left, right)


def _operands(left: Tensor, right: Tensor) -> int:
    """oneDNN's own copies of the operands of one bfloat16 product, about."""
    (rows, inner), columns = left.shape[-2:], right.shape[-1]
    if _is_turned(left):
        return turned_operands(rows, inner) * torch.get_num_threads()
    few = _is_turned(right) and rows < _FEW_ROWS and columns > 64
    return plain_operands(inner, 32 if few else columns)


def plain_operands(inner: int, columns: int) -> int:
    """The right-hand side of a bfloat16 product in blocks of 32 rows and 32 columns, about."""
    blocks = 2 * padded(inner, 2 * BLOCK) * padded(columns, 2 * BLOCK)
    return min(blocks, _MOST_COPIED) + _LEAST_COPIED


def turned_operands(rows: int, inner: int) -> int:
    """With a turned left-hand side, as of a weight's gradient: the blocks of each thread."""
    tall = padded(rows)
    if rows > 4 * BLOCK:
        tall = 128 if rows <= 8 * BLOCK else 192 if tall in (176, 192) else 256
    sums = 4 * BLOCK * tall if inner >= _MANY else 0
    both = 2 * padded(inner, 2 * BLOCK) * (tall + 4 * BLOCK)
    return min(both + sums + _LEAST_TURNED, _MOST_TURNED)


def _is_plain(value: Tensor) -> bool:
    """Whether oneDNN's products take a tensor as it lies (`is_mkldnn_optimized_format`)."""
    return value.is_contiguous() or _is_turned(value)


def _is_turned(value: Tensor) -> bool:
    rows, columns = value.shape[-2:]
    turned = (rows * columns, 1, rows)[-value.dim() :]
    return not value.is_contiguous() and value.stride() == turned


def _mixed(args: tuple[Any, ...], out: Any) -> int:
    """Operands narrower than the outcome are copied to its type first (TensorIterator in ATen)."""
    wide = out.element_size()
    narrow = [t for t in tensors(args) if t.dim() and t.element_size() < wide]
    in_place = out.untyped_storage()._cdata == args[0].untyped_storage()._cdata
    made = 0 if in_place else out.nbytes
    return made + sum(wide * t.numel() for t in narrow if t.is_floating_point())


def _mean(args: tuple[Any, ...], out: Any) -> int:
    """A mean of half floats is that of a float32 copy (`mean_kernel` in ReduceOps.cpp)."""
    x = args[0]
    return out.nbytes + (4 * (x.numel() + out.numel()) if x.dtype in _HALVES else 0)


def _sum(args: tuple[Any, ...], out: Any) -> int:
    """As a mean, where half floats are summed over axes apart from each other.

    `should_use_acc_buffer` in ReduceOps.cpp says so of a tensor that lies in its axes' order.
    """
    x = args[0]
    if len(args) < 2 or not args[1]:
        return out.nbytes
    summed = {axis % x.dim() for axis in args[1]}
    runs = sum(axis in summed and axis + 1 not in summed for axis in range(x.dim()))
    return _mean(args, out) if runs > 1 else out.nbytes


def _layer_norm(args: tuple[Any, ...], out: Any) -> int:
    return sum(t.nbytes for t in tensors(out)) + _contiguous(args[0])


def _layer_norm_backward(args: tuple[Any, ...], out: Any) -> int:
    """Of grad, x, shape, ...: copies, and each thread's sums for weight and bias."""
    sums = 2 * 4 * torch.get_num_threads() * prod(args[2])
    made = sum(t.nbytes for t in tensors(out))
    return made + _contiguous(args[0]) + _contiguous(args[1]) + sums


def _batch_norm_backward(args: tuple[Any, ...], out: Any) -> int:
    """Of grad, x, ...: a grad that does not lie as x does is copied."""
    grad, x = args[:2]
    alike = grad.stride() == x.stride() or (grad.is_contiguous() and x.is_contiguous())
    return sum(t.nbytes for t in tensors(out)) + (0 if alike else grad.nbytes)


def _lstm(args: tuple[Any, ...], out: Any) -> int:
    """Of x, two weights, two biases, h, c, ...: a layer, one way.

    A pass for gradients keeps the gates of all cells in its workspace, and takes them again in
    float32; one without takes them alone, two more steps, and inputs wider than its states.
    """
    size, (steps, batch, inputs) = args[0].element_size(), args[0].shape
    gates, hidden = args[2].shape
    scratch = _lstm_halves(args) if size == 2 else _lstm_scratch(args)
    if args[15] and size > 2:
        weights = size * good_stride(gates) * _lstm_rows(args)
    else:
        weights = size * 4 * padded(gates // 4, 2 * BLOCK) * _lstm_rows(args)
    if not args[15]:
        cells = gates * (steps if size == 2 else steps + 2) + (inputs > hidden) * inputs * steps
        scratch = size * batch * cells + (scratch if size == 2 else _LSTM_BYTES)
    return sum(t.nbytes for t in tensors(out)) + size * gates + weights + scratch


def _lstm_backward(args: tuple[Any, ...], out: Any) -> int:
    """Likewise, with gradients in float32.

    Weights whose rows oneDNN pads, or that are half floats, are copied too, and missing gradients.
    `args[7:10]` are the output and the last states, `args[10:13]` the gradients that came of them,
    of which half floats become whole ones.
    """
    half = args[0].element_size() == 2
    grads = zip(args[7:10], args[10:13], strict=True)
    whole = sum(t.nbytes if g is None else _contiguous(g) for t, g in grads)
    whole += sum(2 * t.nbytes for t in args[7:10]) if half else 0
    rows = [_rows_bytes(weight) for weight in args[1:3]]
    gates = args[2].shape[0]
    packed = 4 * good_stride(gates) * _lstm_rows(args)
    scratch = _lstm_halves(args) if half else _lstm_scratch(args)
    made = sum(t.nbytes for t in tensors(out))
    return made + whole + sum(rows) + 2 * 4 * gates + packed + scratch


def _rows_bytes(weight: Tensor) -> int:
    gates, inputs = weight.shape
    if weight.dtype in _HALVES:
        return 2 * gates * padded(inputs, 2 * BLOCK)
    return 0 if good_stride(inputs) == inputs else 4 * gates * good_stride(inputs)


def _lstm_rows(args: tuple[Any, ...]) -> int:
    """Rows of both weights, turned: inputs and states."""
    return args[1].shape[1] + args[2].shape[1]


def _lstm_scratch(args: tuple[Any, ...]) -> int:
    """The gates of all cells, and oneDNN's own."""
    x, (gates, hidden) = args[0], args[2].shape
    return gates_bytes(len(x) * x.shape[1], gates) + 4 * x.shape[1] * hidden + _LSTM_BYTES


def _lstm_halves(args: tuple[Any, ...]) -> int:
    """The gates of one step in float32, its state, and oneDNN's own, about."""
    batch, (gates, hidden) = args[0].shape[1], args[2].shape
    return gates_bytes(batch, gates) + 2 * batch * hidden + _LSTM_BYTES


def _softmax(args: tuple[Any, ...], out: Any) -> int:
    """Of x, or of a gradient and the output: what does not lie in its axes' order is copied."""
    return out.nbytes + sum(map(_contiguous, tensors(args)))


def _max_pool_backward(args: tuple[Any, ...], out: Any) -> int:
    """Of grad, x, ...: likewise, but for maps with their channels last."""
    return out.nbytes + (_contiguous(args[0]) if args[1].is_contiguous() else 0)


def _deform_conv(args: tuple[Any, ...], out: Any) -> int:
    """Of x, weight, ...: columns, the output as they give it and in the picture's order.

    Operands that do not lie in their axes' order are copied.
    """
    copies = sum(map(_contiguous, tensors(args)))
    return copies + 3 * out.nbytes + _deform_columns(args[0], args[1], out)


def _deform_conv_backward(args: tuple[Any, ...], out: Any) -> int:
    """Of grad, x, weight, ...: columns, the gradient in their order, the weight's in two parts."""
    grad, x, weight = args[:3]
    made = sum(t.nbytes for t in tensors(out)) + sum(map(_contiguous, tensors(args)))
    return made + grad.nbytes + _deform_columns(x, weight, grad) + 2 * weight.nbytes


def _deform_columns(x: Tensor, weight: Tensor, y: Tensor) -> int:
    """Of as many pictures at once as divide the batch, at most 32 (deform_conv2d_kernel.cpp)."""
    pictures = max(n for n in range(1, _MOST_DEFORMED + 1) if len(x) % n == 0)
    return pictures * x.shape[1] * prod(weight.shape[2:]) * prod(y.shape[2:]) * x.element_size()


def _embedding_backward(args: tuple[Any, ...], out: Any) -> int:
    """Of grad, ids, ...: a gradient that does not lie in its axes' order is copied."""
    return out.nbytes + _contiguous(args[0])


def _bag(args: tuple[Any, ...], out: Any) -> int:
    """The bag of each id is a running sum of marks, which are there with it."""
    made, bags, sizes, maxima = out
    return made.nbytes + bags.nbytes + sizes.nbytes + max(bags.nbytes, maxima.nbytes)


def _bag_backward(args: tuple[Any, ...], out: Any) -> int:
    """Of grad, ids, offsets, bag of each id, sizes, maxima, ...: the ids are sorted.

    Sorted they have an order and bags in it, and weights where they have any. A maximum takes the
    ids and the gradient of bags that are not empty.
    """
    grad, ids, _, bags, sizes, maxima = args[:6]
    if args[8] == _BY_MAXIMUM:
        return out.nbytes + maxima.nbytes + grad.nbytes + sizes.nbytes
    made = 0 if bags.numel() else ids.nbytes
    return out.nbytes + made + 3 * ids.nbytes + (0 if args[10] is None else args[10].nbytes)


def _roll(args: tuple[Any, ...], out: Any) -> int:
    """Of x, shifts, ...: rolled along one axis, and from there along the others."""
    return out.nbytes * min(2, len(args[1]))


def _fft(args: tuple[Any, ...], out: Any) -> int:
    """Of x and axes, complex: other axes than the last are brought there in a copy."""
    return out.nbytes + (0 if _are_last(args) else args[0].nbytes)


def _fft_to_real(args: tuple[Any, ...], out: Any) -> int:
    """Of x and axes, the last of which halves: the others are transformed first."""
    copies = 2 if len(args[1]) > 1 else 0 if _are_last(args) else 1
    return out.nbytes + copies * args[0].nbytes


def _are_last(args: tuple[Any, ...]) -> bool:
    axes = args[0].dim()
    return sorted(axis % axes for axis in args[1]) == [*range(axes - len(args[1]), axes)]


def _contiguous(value: Tensor) -> int:
    return 0 if value.is_contiguous() else value.nbytes


SCRATCH: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    "addmm": _product,
    "mm": _product,
    "bmm": _product,
    **dict.fromkeys(("add", "sub", "mul", "div"), _mixed),
    "mean": _mean,
    "sum": _sum,
    "native_layer_norm": _layer_norm,
    "native_layer_norm_backward": _layer_norm_backward,
    "native_batch_norm_backward": _batch_norm_backward,
    **dict.fromkeys(("_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("_softmax_backward_data", "_log_softmax_backward_data"), _softmax),
    "max_pool2d_with_indices_backward": _max_pool_backward,
    "torchvision::deform_conv2d": _deform_conv,
    "torchvision::_deform_conv2d_backward": _deform_conv_backward,
    "embedding_dense_backward": _embedding_backward,
    "_embedding_bag": _bag,
    "_embedding_bag_forward_only": _bag,
    "_embedding_bag_backward": _bag_backward,
    "roll": _roll,
    "_fft_c2c": _fft,
    "_fft_c2r": _fft_to_real,
    "mkldnn_rnn_layer": _lstm,
    "mkldnn_rnn_layer_backward": _lstm_backward,
}
