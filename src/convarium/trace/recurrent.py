"""The workspace that oneDNN's LSTM keeps from its forward to its backward pass, in bytes.

torch's shape rules give it no size. The parts are oneDNN's (`set_offsets` in rnn_utils.cpp): gates,
states and their gradients, each in whole pages, rows at strides that spare the cache.
"""

from __future__ import annotations

_PAGE = 4096
_ROW = 16  # float32 values: a line of the cache


def lstm_workspace(steps: int, batch: int, inputs: int, hidden: int, size: int) -> int:
    """Of one layer and one direction, within 4 % of what was seen of oneDNN.

    Args:
        steps: of the sequence.
        batch: sequences.
        inputs: width of an element of the sequence.
        hidden: width of the state.
        size: bytes of a value; gradients have four.
    """
    cells, rows = steps * batch, 2 * (steps + 1) * batch  # of inputs and of outputs
    wide, narrow = good_stride(max(inputs, hidden)), good_stride(hidden)
    parts = (
        size * cells * good_stride(4 * hidden),  # gates
        *(size * rows * wide, size * rows * narrow, size * cells * hidden),  # states
        *(4 * rows * wide, 4 * rows * wide, 4 * 2 * cells * narrow),  # gradients
        *(4 * 4 * hidden,),  # a bias
    )
    return sum(map(_paged, parts))


def gates_bytes(cells: int, gates: int) -> int:
    """All gates of so many cells, in whole pages."""
    return _paged(4 * cells * good_stride(gates))


def good_stride(width: int) -> int:
    """float32 values from row to row: whole lines, no multiple of 256 (`get_good_ld`).

    >>> [good_stride(width) for width in (20, 100, 128, 256)]
    [32, 112, 128, 272]
    """
    stride = -(-width // _ROW) * _ROW
    return stride + _ROW if stride % 256 == 0 else stride


def _paged(nbytes: int) -> int:
    return -(-nbytes // _PAGE) * _PAGE
