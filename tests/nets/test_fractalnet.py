"""FractalNet: the fractal, its joins, drop-path, and columns that run alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from compact_checks import (
    check_counts,
    check_deviation,
    check_eval_ignores_the_batch,
    check_gradient_reaches_all,
    on_meta,
    output_shapes,
    weighted,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import convarium
from convarium.errors import InputError, UsageError
from convarium.nets.fractalnet import (
    FractalBlock,
    FractalNetCIFAR,
    Join,
    all_columns,
    drop_locally,
    one_column,
)

NAMES = convarium.list_models(family="fractalnet")
COUNTED = [name for name in NAMES if convarium.model_facts(name).params.exact is not None]


def closed_form(columns: int, filters: int, channels: int, classes: int) -> int:
    """Convolutions with biases, batch norms, the linear layer."""
    widths = [channels, *(times * filters for times in (1, 2, 4, 8, 8))]
    total = 0
    for a, b in pairwise(widths):
        convs = 2**columns - 1  # of which `columns` are the first of their column
        total += 9 * b * (columns * a + (convs - columns) * b) + 3 * convs * b
    return total + (widths[-1] + 1) * classes


def convs_called(model: nn.Module, x: Tensor) -> list[str]:
    """Paths of the convolutions that a forward pass really computes."""
    called: list[str] = []
    hooks = [
        m.register_forward_hook(lambda _m, _i, _o, path=path: called.append(path))
        for path, m in model.named_modules()
        if isinstance(m, nn.Conv2d)
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return called


@pytest.mark.parametrize("name", COUNTED)
def test_counts_are_the_ledgers(name: str) -> None:
    check_counts(name)


def test_40_layers_count_as_the_ledgers_note() -> None:
    """No widths are printed: with 32-64-128-256-256 the ledger's note has 19.05M."""
    report = convarium.measure_cost("fractalnet40_c4_cifar")
    assert report.params == closed_form(4, 32, 3, 10)
    assert f"{report.params / 1e6:.2f}M" in convarium.model_facts("fractalnet40_c4_cifar").notes[0]


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("fractalnet20_c3_cifar", 20),
        ("fractalnet40_c4_cifar", 40),
        ("fractalnet34_c4_imagenet", 34),
        *((f"fractalnet_thin_c{c}", 5 * 2 ** (c - 1)) for c in range(1, 7)),
    ],
)
def test_the_deepest_column_has_the_printed_depth(name: str, depth: int) -> None:
    """B * 2^(C-1) convolutions; FractalNet-34 has ResNet-34's first and last layer as well."""
    model = on_meta(name).eval()
    model.use_column(model.columns)
    side = convarium.model_facts(name).input[1]
    convs = convs_called(model, torch.empty(1, 3, side, side, device="meta"))
    assert len(convs) + ("imagenet" in name) == depth


def test_shapes_are_the_papers() -> None:
    shapes = output_shapes(
        on_meta("fractalnet20_c3_cifar"), torch.empty(1, 3, 32, 32, device="meta")
    )
    widths, sides = (64, 128, 256, 512, 512), (32, 16, 8, 4, 2)
    for i, (width, side) in enumerate(zip(widths, sides, strict=True), start=1):
        assert shapes[f"block{i}"] == (width, side, side)
        assert shapes[f"pool{i}"] == (width, side // 2, side // 2)


def test_shapes_on_imagenet() -> None:
    x = torch.empty(1, 3, 224, 224, device="meta")
    shapes = output_shapes(on_meta("fractalnet34_c4_imagenet"), x)
    assert shapes["stem"] == (64, 56, 56)
    widths, sides = (128, 256, 512, 1024), (56, 28, 14, 7)
    for i, (width, side) in enumerate(zip(widths, sides, strict=True), start=1):
        assert shapes[f"block{i}"] == (width, side, side)


def test_a_block_is_the_rule_applied() -> None:
    """f_3 = join(f_2 of f_2, conv) with the join of joins taken as one mean, written out."""
    block = FractalBlock(3, 4, columns=3, dropout=0.0).double().eval()
    one, two, three = block.column1, block.column2, block.column3
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        half = (two[0](x) + three[1](three[0](x))) / 2
        whole = (one[0](x) + two[1](half) + three[3](three[2](half))) / 3
        torch.testing.assert_close(block(x, all_columns(3)), whole)


def test_a_join_is_the_mean_of_its_live_inputs() -> None:
    maps = [torch.full((1, 2, 3, 3), value) for value in (1.0, 4.0, 10.0)]
    assert torch.equal(Join()(maps), torch.full((1, 2, 3, 3), 5.0))
    assert torch.equal(Join()(maps[1:2]), maps[1])


@pytest.mark.parametrize("column", [1, 2, 3])
def test_a_column_runs_alone(column: int) -> None:
    model = FractalNetCIFAR(3, 4).double().eval()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    model.use_column(column)
    assert convs_called(model, x) == [
        f"block{b}.column{column}.{i}.conv" for b in range(1, 6) for i in range(2 ** (column - 1))
    ]
    y = x
    for b in range(1, 6):
        plain = model.get_submodule(f"block{b}.column{column}")
        y = nn.functional.max_pool2d(plain(y), 2)
    with torch.no_grad():
        torch.testing.assert_close(model(x), model.prediction(y.flatten(1)))


def test_eval_computes_every_convolution_once() -> None:
    model = FractalNetCIFAR(4, 1).eval()
    x = torch.randn(1, 3, 32, 32)
    everything = {p for p, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    called = convs_called(model, x)
    assert len(called) == len(everything) == 5 * 15
    assert set(called) == everything
    model.use_column(2)
    assert len(convs_called(model, x)) == 10
    model.use_column(None)
    assert len(convs_called(model, x)) == 5 * 15


def test_training_drops_paths_and_computes_them_not() -> None:
    model = FractalNetCIFAR(3, 1).train()
    x = torch.randn(2, 3, 32, 32)
    calls = [len(convs_called(model, x)) for _ in range(40)]
    assert min(calls) == 5  # a global draw of column 1
    assert sum(calls) / len(calls) < 30  # of 35: half are one column, and local draws drop more


def test_half_of_the_batches_leave_one_column_in_the_whole_net() -> None:
    model = FractalNetCIFAR(3, 1).train()
    draws = [model.live_joins() for _ in range(2000)]
    columns = [one_column(3, k) for k in (1, 2, 3)]
    by_column = [sum(draw == 5 * [c] for draw in draws) for c in columns]
    # Local draws that happen to leave one column everywhere are rarer than 1e-6.
    assert abs(sum(by_column) / 2000 - 0.5) <= 5 * (0.25 / 2000) ** 0.5
    for count in by_column:
        assert abs(count / 2000 - 1 / 6) <= 5 * (5 / 36 / 2000) ** 0.5


def test_local_drop_path_drops_15_percent() -> None:
    ends = all_columns(3)[4]
    kept = torch.tensor(
        [[k in drop_locally(3, 0.15)[4] for k in ends] for _ in range(4000)]
    ).double()
    # Of three inputs all fall with 0.15^3, and then each comes back with one third.
    expected = 0.85 + 0.15**3 / 3
    assert (kept.mean(0) - expected).abs().max() <= 5 * (expected * (1 - expected) / 4000) ** 0.5


@settings(max_examples=50, deadline=None)
@given(columns=st.integers(1, 6), probability=st.floats(0, 1), seed=st.integers(0, 1000))
def test_a_join_keeps_at_least_one(columns: int, probability: float, seed: int) -> None:
    torch.manual_seed(seed)
    live, ends = drop_locally(columns, probability), all_columns(columns)
    assert live.keys() == ends.keys()
    assert all(live[row] and set(live[row]) <= set(ends[row]) for row in ends)


def test_the_seed_fixes_the_paths() -> None:
    model = FractalNetCIFAR(3, 1).train()
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append([model.live_joins() for _ in range(10)])
    assert draws[0] == draws[1]


def test_initial_values_are_xaviers() -> None:
    for layer in weighted(FractalNetCIFAR(2, 16)):
        weight = layer.weight.detach()
        check_deviation(weight, weight[0].numel() ** -0.5)
        assert not layer.bias.any()


def test_dropout_grows_from_block_to_block() -> None:
    model = on_meta("fractalnet20_c3_cifar")
    for i, rate in enumerate((0.0, 0.1, 0.2, 0.3, 0.4), start=1):
        block = model.get_submodule(f"block{i}")
        rates = [m.p for m in block.modules() if isinstance(m, nn.Dropout)]
        assert rates == ([rate] * 7 if rate else [])


def test_gradient_reaches_every_parameter() -> None:
    model = FractalNetCIFAR(2, 2)
    model.LOCAL_DROP, model.GLOBAL_SHARE = 0.0, 0.0
    check_gradient_reaches_all(model, torch.randn(8, 3, 32, 32))


def test_eval_ignores_the_batch() -> None:
    check_eval_ignores_the_batch(FractalNetCIFAR(3, 2), torch.randn(3, 3, 32, 32))


@pytest.mark.parametrize("side", [31, 64])
def test_other_sides_are_refused(side: int) -> None:
    with pytest.raises(InputError, match="32x32"):
        on_meta("fractalnet_thin_c1")(torch.empty(1, 3, side, side, device="meta"))


def test_impossible_columns_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        FractalNetCIFAR(0, 4)
    for column in (0, 4):
        with pytest.raises(UsageError, match="1 to 3"):
            FractalNetCIFAR(3, 1).use_column(column)


@settings(max_examples=15, deadline=None)
@given(
    columns=st.integers(1, 4),
    filters=st.integers(1, 8),
    channels=st.integers(1, 4),
    classes=st.integers(1, 100),
)
def test_any_options_count_as_computed(
    columns: int, filters: int, channels: int, classes: int
) -> None:
    with torch.device("meta"):
        model = FractalNetCIFAR(columns, filters, in_channels=channels, num_classes=classes)
    expected = closed_form(columns, filters, channels, classes)
    assert sum(p.numel() for p in model.parameters()) == expected
    assert model(torch.empty(2, channels, 32, 32, device="meta")).shape == (2, classes)
