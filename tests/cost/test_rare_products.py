"""Formulas of operators that few networks reach, against loops that count one by one."""

from __future__ import annotations

import pytest

from convarium.cost.products import FORMULAS
from convarium.trace import Op, TensorSpec
from cost.test_products import counted, multiply


def tensor(*shape: int) -> TensorSpec:
    return TensorSpec(shape, 4)


def macs_of(name: str, *args: object, out: tuple[int, ...]) -> int:
    op = Op(name, "other", args, {}, (tensor(*out),))
    return sum(product.macs for product in FORMULAS[name](op) or ())


@pytest.mark.parametrize(
    ("left", "right", "out", "parts"),
    [
        ((6, 4), (2, 4, 5), (6, 5), [(2, 4, 5), (4, 4, 5)]),  # rows in groups of 2 and 4
        ((2, 3, 4), (2, 4, 5), (2, 3, 5), [(3, 4, 5), (3, 4, 5)]),
        ((2, 3, 4), (4, 7), (3, 7), [(3, 4, 2), (3, 4, 5)]),  # columns in groups of 2 and 5
        ((3, 6), (6, 5), (2, 3, 5), [(3, 2, 5), (3, 4, 5)]),  # terms in groups of 2 and 4
    ],
)
def test_grouped_products(left, right, out, parts) -> None:
    wanted = counted(lambda: [multiply(*part) for part in parts] and None)
    assert macs_of("_grouped_mm", tensor(*left), tensor(*right), out=out) == wanted


def test_a_linear_layer_with_its_weight_packed_away() -> None:
    wanted = counted(lambda: multiply(2 * 3, 4, 5))
    assert macs_of("quantized::linear_dynamic", tensor(2, 3, 4), None, out=(2, 3, 5)) == wanted


def test_a_recurrent_layer_on_a_gpu() -> None:
    """A GRU of 2 layers: 6 steps of 2 rows, 3 inputs, 5 hidden values, 3 gates."""

    def loops() -> None:
        for _ in range(6):
            for inputs in (3, 5):
                multiply(2, inputs, 3 * 5)
                multiply(2, 5, 3 * 5)

    weights = [
        *(tensor(15, 3), tensor(15, 5), tensor(15), tensor(15)),
        *(tensor(15, 5), tensor(15, 5), tensor(15), tensor(15)),
    ]
    assert macs_of("_cudnn_rnn", tensor(6, 2, 3), weights, out=(6, 2, 5)) == counted(loops)
