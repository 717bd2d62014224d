"""A trace sees every call, attributes it to its leaf, and leaves nothing behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

import convarium
from convarium.trace import TraceError, trace


class Shared(nn.Module):
    """One linear layer called twice, one parameter of its own, one never used."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.idle = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.twice(self.twice(x)) * self.scale


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.conv(x)
        raise RuntimeError("the user's own error")


def test_one_row_a_call_and_parameters_once() -> None:
    rows = trace(Shared(), torch.empty(2, 4, device="meta"))
    assert [(row.name, row.call) for row in rows] == [
        ("twice", 0),
        ("twice", 1),
        ("mul", 0),
        ("(unused parameters)", 0),
    ]
    assert [row.params for row in rows] == [4 * 4 + 4, 0, 4, 3 * 5 + 5]


def test_tied_weights_count_once() -> None:
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    rows = trace(nn.Sequential(first, second), torch.empty(1, 4, device="meta"))
    assert sum(row.params for row in rows) == 16


def test_a_view_of_a_parameter_is_the_parameter() -> None:
    """Attention slices and transposes its weights before it multiplies by them."""
    attend = nn.MultiheadAttention(8, 2)

    class SelfAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = attend

        def forward(self, x: Tensor) -> Tensor:
            return self.attend(x, x, x + 1)[0]  # three inputs: the weight is cut in three

    rows = trace(SelfAttention(), torch.empty(5, 1, 8, device="meta"))
    assert "(unused parameters)" not in [row.name for row in rows]
    assert sum(row.params for row in rows) == 4 * 8 * 8 + 4 * 8
    products = [row for row in rows if row.kind in ("addmm", "mm")]
    assert sum(row.params for row in products) == sum(row.params for row in rows)


def test_batch_norm_statistics_stay() -> None:
    model = nn.BatchNorm2d(3)
    trace(model, torch.empty(2, 3, 4, 4, device="meta"))
    assert model.num_batches_tracked.item() == 0
    assert torch.equal(model.running_mean, torch.zeros(3))


def test_an_exception_leaves_no_hooks() -> None:
    with pytest.raises(TraceError):
        trace(Failing(), torch.empty(1, 3, 8, 8, device="meta"))
    assert not torch_module._global_forward_pre_hooks
    assert not torch_module._global_forward_hooks
    assert nn.ReLU()(torch.tensor([-1.0])).item() == 0


def test_random_state_is_kept() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Linear(4, 4))
    before = torch.random.get_rng_state()
    trace(model, torch.empty(1, 4, device="meta"))
    assert torch.equal(before, torch.random.get_rng_state())


def test_shapes_and_order() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5))
    rows = trace(model, torch.empty(2, 3, 8, 8, device="meta"))
    assert [row.output_shape for row in rows] == [(2, 8, 3, 3), (2, 8, 3, 3), (2, 72), (2, 5)]
    assert [row.kind for row in rows] == ["Conv2d", "ReLU", "Flatten", "Linear"]


@pytest.mark.parametrize(
    ("layers", "side"),
    [
        # VGG, section 2.3: two 3x3 see 5x5, three see 7x7.
        ([nn.Conv2d(1, 1, 3)] * 2, 5),
        ([nn.Conv2d(1, 1, 3)] * 3, 7),
        # 3 + (3 - 1) * 2 = 7; dilation 2 makes a 3x3 as wide as a 5x5.
        ([nn.Conv2d(1, 1, 3, stride=2), nn.MaxPool2d(3, stride=2)], 7),
        ([nn.Conv2d(1, 1, 3, dilation=2)], 5),
        ([nn.AvgPool2d(2), nn.Conv2d(1, 1, 3)], 2 + 2 * 2),
        # Padding by name: torch passes one number for both axes.
        ([nn.Conv2d(1, 1, (3, 5), padding="valid"), nn.Conv2d(1, 1, 3, padding="same")], 7),
    ],
)
def test_receptive_field(layers, side) -> None:
    rows = trace(nn.Sequential(*layers), torch.empty(1, 1, 32, 32, device="meta"))
    assert rows[-1].receptive_field == side


def test_receptive_field_equals_the_reach_of_the_gradient() -> None:
    """Positive weights, so that no path cancels: the input pixels with a gradient are the field."""
    model = nn.Sequential(
        nn.Conv2d(1, 2, 5, stride=2, padding=2),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(2, 2, 3, padding=1),
    )
    for p in model.parameters():
        nn.init.constant_(p, 1.0)
    x = torch.rand(1, 1, 65, 65, requires_grad=True)
    out = nn.functional.avg_pool2d(model[0](x), 3, stride=2)  # a max passes one path only
    out = model[2](out)
    out[0, 0, 8, 8].backward()
    reach = int((x.grad[0, 0].abs().sum(0) > 0).sum())
    rows = trace(model, torch.empty(1, 1, 65, 65, device="meta"))
    assert rows[-1].receptive_field == reach


def test_a_value_drawn_on_the_cpu_can_be_read() -> None:
    class Coin(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if torch.rand(1, device="cpu").item() >= 0 else x

    rows = trace(Coin(), torch.empty(1, 4, device="meta"))
    assert "mul" in [op.name for op in rows[0].ops]


@pytest.mark.parametrize("name", ["stochastic_depth_110", "fractalnet20_c3_cifar"])
def test_random_paths_are_traced_on_meta(name) -> None:
    report = convarium.measure_cost(name, training=True)
    assert report.traced_on == "meta"
    assert report.macs < convarium.measure_cost(name).macs
