"""Calls that look alike are told apart; those that are alike are still calls of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import convarium
from convarium.trace import TraceRow, trace


class Says(nn.Module):
    """Runs a function and keeps what it gave, which a count of its own would put back."""

    def __init__(self, forward: Callable[[Tensor], Tensor | list[Tensor]]) -> None:
        super().__init__()
        self.part = nn.Identity()  # so that each operator has a row of its own
        self.run, self.gave = forward, list[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        out = self.run(x)
        self.gave = [out] if isinstance(out, Tensor) else out
        return self.gave[-1]


def rows_of(forward: Callable[[Tensor], Tensor | list[Tensor]], *shape: int) -> list[TraceRow]:
    return trace(Says(forward), torch.empty(shape, device="meta"))


def test_convolutions_of_one_layout_and_other_numbers() -> None:
    """3x3 kernels on 12 x 12 pixels with 4 maps: (12 + 2p - d * 2 - 1) // s + 1 pixels a side."""
    numbers = [(1, 1, 1), (2, 1, 1), (1, 2, 2), (1, 0, 1), (3, 1, 1)]  # stride, padding, dilation
    weight = torch.empty(4, 4, 3, 3, device="meta")

    def forward(x: Tensor) -> list[Tensor]:
        return [nn.functional.conv2d(x, weight, None, *n) for n in numbers for _ in range(2)]

    sides = [(12 + 2 * p - 2 * d - 1) // s + 1 for s, p, d in numbers for _ in range(2)]
    found = [row.output_shape for row in rows_of(forward, 1, 4, 12, 12)]
    assert found == [(1, 4, side, side) for side in sides]


@pytest.mark.parametrize(
    "call",
    [
        lambda x, keep: x.mean((2, 3), keep),
        lambda x, keep: nn.functional.hardtanh(x, -1.0, 6.0 if keep else 1.0),
        lambda x, keep: torch.add(x, x, alpha=2 if keep else 1),
        lambda x, keep: x * (2 if keep else 2.5),
        lambda x, keep: nn.functional.leaky_relu(x, 0.1 if keep else 0.2),
        lambda x, keep: nn.functional.layer_norm(x, (3, 3) if keep else (3,)),
        lambda x, keep: nn.functional.max_pool2d(x, 2, 1, padding=int(keep)),
        lambda x, keep: torch.cat([x, x], 1 if keep else 2),
    ],
)
def test_arguments_are_those_of_each_call(call) -> None:
    turns = [True, False, True, False]
    rows = rows_of(lambda x: [call(x, keep) for keep in turns], 1, 2, 3, 3)
    told = [[(op.args[1:], op.kwargs) for op in row.ops] for row in rows]
    shapes = [tuple(call(torch.zeros(1, 2, 3, 3), keep).shape) for keep in turns]
    assert str(told[0]) == str(told[2]) != str(told[1]) == str(told[3])
    assert [row.output_shape for row in rows] == shapes


def test_layouts_are_those_of_a_real_run() -> None:
    """Strides and types behind twice the same calls, on a plain picture and two other layouts."""

    def forward(x: Tensor) -> list[Tensor]:
        layouts = [
            x,
            x.contiguous(memory_format=torch.channels_last),
            x.transpose(2, 3),
            x.double(),
        ]
        return [f(layout) for layout in layouts for f in (torch.relu, torch.sigmoid) * 2]

    real, shapes_alone = Says(forward), Says(forward)
    real(torch.zeros(2, 4, 5, 6))
    trace(shapes_alone, torch.empty(2, 4, 5, 6, device="meta"))
    assert [t.stride() for t in shapes_alone.gave] == [t.stride() for t in real.gave]
    assert [t.dtype for t in shapes_alone.gave] == [t.dtype for t in real.gave]


def test_each_call_gives_a_tensor_of_its_own() -> None:
    def forward(x: Tensor) -> list[Tensor]:
        first, second = torch.relu(x), torch.relu(x)
        assert first is not second
        assert first.untyped_storage()._cdata != second.untyped_storage()._cdata
        return [first, second, first + first, second + second]

    rows = rows_of(forward, 1, 3, 4, 4)
    assert [list(row.inputs) for row in rows] == [[], [], [0], [1]]


def test_what_works_in_place_gives_its_argument() -> None:
    def forward(x: Tensor) -> list[Tensor]:
        mine, other = x + 0, x + 1
        assert all(t.relu_() is t and t.add_(x) is t for t in (mine, other))
        return [mine, other]

    rows = rows_of(forward, 1, 3, 4, 4)
    assert [op.in_place for row in rows for op in row.ops] == [False] * 2 + [True] * 4
    assert [list(row.inputs) for row in rows] == [[], [], [0], [2], [1], [4]]


def test_gradients_of_equal_layers_of_which_one_is_frozen() -> None:
    """8 to 8 a layer: every other has a gradient of its weight, all but the first of its input."""
    layers = [nn.Linear(8, 8, bias=False) for _ in range(4)]
    for frozen in layers[1::2]:
        frozen.requires_grad_(False)
    report = convarium.measure_cost(nn.Sequential(*layers), (8,), training=True)
    assert [row.macs_backward for row in report.rows] == [64, 64, 128, 64]


def test_training_and_running_statistics_of_batch_norm() -> None:
    """A training batch norm gives its map's sums besides; 4 maps of 4 bytes, twice."""
    norms = [nn.BatchNorm2d(4, device="meta") for _ in range(4)]
    for norm in norms[1::2]:
        norm.eval()
    rows = trace(nn.Sequential(*norms), torch.empty(2, 4, 3, 3, device="meta"))
    extra = [sum(t.nbytes for op in row.ops for t in op.outputs[1:]) for row in rows]
    assert extra == [2 * 4 * 4, 0] * 2


def test_statistics_alone_are_no_weights_alone() -> None:
    sides = torch.empty(2, 4, device="meta").unbind()

    def forward(x: Tensor) -> list[Tensor]:
        norm = nn.functional.batch_norm
        return [norm(x, *sides, training=True), norm(x, None, None, *sides, training=True)]

    rows = rows_of(forward, 2, 4, 3, 3)
    given = [[spec is not None for spec in row.ops[0].args[1:5]] for row in rows]
    assert given == [[False, False, True, True], [True, True, False, False]]


def test_a_draw_on_the_cpu_keeps_its_values() -> None:
    def forward(x: Tensor) -> Tensor:
        drawn = torch.ones(x.shape, device="cpu")
        assert torch.relu(x).is_meta
        assert torch.relu(drawn).sum().item() == 2 * 3
        return x

    rows_of(forward, 2, 3)


def test_on_the_cpu_values_are_computed() -> None:
    """Zeros, of which each of three rounds makes one more: 3 in each of 4 pixels."""

    def forward(x: Tensor) -> Tensor:
        for _ in range(3):
            x = torch.relu(x + 1)
        assert x.sum().item() == 3 * 4
        return x

    rows = trace(Says(forward), torch.zeros(1, 1, 2, 2))
    assert [row.kind for row in rows] == ["add", "relu"] * 3 + ["sum", "_local_scalar_dense"]
