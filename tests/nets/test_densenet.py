"""DenseNet against Table 1, the counts of Table 2, torchvision and a Caffe definition."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from compact_checks import (
    carry_by_order,
    check_counts,
    check_deviation,
    check_equal,
    check_eval_ignores_the_batch,
    check_gradient_reaches_all,
    check_layer_table,
    layer_table,
    on_meta,
    output_shapes,
    shake,
    weighted,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convarium
from convarium.errors import InputError, UsageError
from convarium.nets.densenet import DenseNet, DenseNetBCCIFAR, DenseNetCIFAR
from long_networks import marked

NAMES = convarium.list_models(family="densenet")
LARGEST = {f"densenet{size}" for size in ("201", "264", "_bc_250_24_cifar", "_bc_190_40_cifar")}
# Table 1: layers in the dense blocks, k; 161 is the readme's.
TABLE_1 = {
    121: ((6, 12, 24, 16), 32),
    169: ((6, 12, 32, 32), 32),
    201: ((6, 12, 48, 32), 32),
    264: ((6, 12, 64, 48), 32),
    161: ((6, 12, 36, 24), 48),
}
CIFAR100 = {
    "densenet_40_12_cifar": 1_060_132,
    "densenet_100_12_cifar": 7_084_852,
    "densenet_100_24_cifar": 27_457_972,
    "densenet_bc_100_12_cifar": 800_032,
    "densenet_bc_250_24_cifar": 15_480_556,
    "densenet_bc_190_40_cifar": 25_821_620,
}


def closed_form(width: int, blocks: tuple[int, ...], k: int, bottleneck: bool) -> tuple[int, int]:
    """Parameters behind the stem and before the classifier, and the width there."""
    total = 0
    for i, layers in enumerate(blocks):
        for _ in range(layers):
            if bottleneck:
                total += 2 * width + width * 4 * k + 2 * 4 * k + 4 * k * k * 9
            else:
                total += 2 * width + width * k * 9
            width += k
        total += 2 * width
        if i < len(blocks) - 1:
            kept = width // 2 if bottleneck else width
            total += width * kept
            width = kept
    return total, width


@pytest.mark.parametrize("name", marked(NAMES, LARGEST))
def test_counts_are_the_ledgers(name: str) -> None:
    check_counts(name)


@pytest.mark.parametrize(("name", "params"), CIFAR100.items())
def test_cifar100_heads(name: str, params: int) -> None:
    assert f"CIFAR-100 head: {params} parameters" in convarium.model_facts(name).notes
    model = on_meta(name, num_classes=100)
    assert sum(p.numel() for p in model.parameters()) == params


@pytest.mark.parametrize(
    "depth", [pytest.param(d, marks=pytest.mark.slow if d > 200 else ()) for d in TABLE_1]
)
def test_shapes_are_table_1s(depth: int) -> None:
    x = torch.empty(1, 3, 224, 224, device="meta")
    model = on_meta(f"densenet{depth}")
    shapes = output_shapes(model, x)
    layers, k = TABLE_1[depth]
    assert shapes["features.convolution"] == (2 * k, 112, 112)
    assert shapes["features.pooling"] == (2 * k, 56, 56)
    width = 2 * k
    for i, (count, side) in enumerate(zip(layers, (56, 28, 14, 7), strict=True), start=1):
        width += count * k
        assert shapes[f"features.dense_block{i}"] == (width, side, side)
        block = model.features.get_submodule(f"dense_block{i}")
        assert len(list(block.children())) == count
        if i < 4:
            width //= 2
            assert shapes[f"features.transition{i}"] == (width, side // 2, side // 2)
    assert shapes["global_pool"] == (width, 1, 1)


def test_a_layer_is_a_1x1_of_4k_and_a_3x3_of_k() -> None:
    layer = on_meta("densenet121").features.dense_block1.layer2
    assert [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in weighted(layer)] == [
        (64 + 32, 128, 1),
        (128, 32, 3),
    ]


@pytest.mark.parametrize("name", ["densenet_40_12_cifar", "densenet_bc_100_12_cifar"])
def test_initial_values_are_the_authors(name: str) -> None:
    model = convarium.create_model(name)
    for layer in weighted(model)[:-1]:
        side = layer.kernel_size[0]
        check_deviation(layer.weight.detach(), (2 / (side * side * layer.out_channels)) ** 0.5)
    width = model.classifier.in_features
    check_deviation(model.classifier.weight.detach(), (1 / (3 * width)) ** 0.5)
    assert not model.classifier.bias.any()


@pytest.mark.parametrize("kind", [DenseNetCIFAR, DenseNetBCCIFAR])
def test_dropout_follows_each_convolution_but_the_first(kind: type[DenseNetCIFAR]) -> None:
    with torch.device("meta"):
        plain, dropped = kind(16, 4), kind(16, 4, dropout=0.2)
    assert not any(isinstance(m, nn.Dropout) for m in plain.modules())
    order = [m for m in dropped.modules() if isinstance(m, (nn.Conv2d, nn.Dropout))]
    first, rest = order[0], order[1:]
    assert isinstance(first, nn.Conv2d)
    assert all(isinstance(m, nn.Conv2d) for m in rest[::2])
    assert all(isinstance(m, nn.Dropout) and m.p == 0.2 for m in rest[1::2])
    assert len(rest[::2]) == len(rest[1::2])


@pytest.mark.parametrize("kind", [DenseNetCIFAR, DenseNetBCCIFAR])
def test_saving_memory_changes_no_number(kind: type[DenseNetCIFAR]) -> None:
    """Logits, gradients and running statistics are equal to the last bit, with dropout too."""
    saving = kind(16, 4, dropout=0.2, save_memory=True).double()
    plain = kind(16, 4, dropout=0.2).double()
    plain.load_state_dict(deepcopy(saving.state_dict()))
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    outputs = []
    for model in (plain, saving):
        torch.manual_seed(1)
        outputs.append(model(x))
        outputs[-1].square().sum().backward()
    assert torch.equal(*outputs)
    for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name
    for (name, a), b in zip(plain.named_buffers(), saving.buffers(), strict=True):
        assert torch.equal(a, b), name


def test_saving_memory_keeps_fewer_bytes_for_the_backward_pass() -> None:
    kept = []
    for save_memory in (False, True):
        model = DenseNetBCCIFAR(40, 8, save_memory=save_memory)
        sizes: dict[int, int] = {}

        def pack(t: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            storage = t.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            loss = model(torch.randn(2, 3, 16, 16)).sum()
        kept.append(sum(sizes.values()))
        loss.backward()
    # Plain, each of a block's 6 layers keeps its concatenation three times over.
    assert kept[1] < 0.7 * kept[0]


def test_gradient_reaches_every_parameter() -> None:
    check_gradient_reaches_all(DenseNetBCCIFAR(16, 4), torch.randn(4, 3, 16, 16))
    check_gradient_reaches_all(DenseNetCIFAR(10, 4), torch.randn(4, 3, 16, 16))
    check_gradient_reaches_all(DenseNet(121, num_classes=10), torch.randn(4, 3, 64, 64))


def test_eval_ignores_the_batch() -> None:
    model = DenseNetBCCIFAR(16, 4)
    shake(model)
    check_eval_ignores_the_batch(model, torch.randn(3, 3, 16, 16))


def test_export_where_memory_is_saved() -> None:
    """The battery exports the networks of the catalog, none of which computes layers again."""
    model, x = DenseNetBCCIFAR(16, 4, save_memory=True).eval(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))


@pytest.mark.parametrize("depth", [121, 161])
def test_equals_torchvision(depth: int) -> None:
    from torchvision import models

    with torch.device("meta"):
        theirs, ours = getattr(models, f"densenet{depth}")(), DenseNet(depth)
    for model in (theirs, ours):
        model.to_empty(device="cpu")
    for p in theirs.parameters():
        nn.init.normal_(p, std=0.05)
    shake(theirs)
    carry_by_order(theirs, ours)
    check_equal(ours, theirs, torch.randn(1, 3, 45, 64))


@pytest.mark.data
def test_layers_are_the_caffe_definitions(shared_data: Path) -> None:
    check_layer_table(
        layer_table(shared_data, "densenet121-caffe"), convarium.measure_cost("densenet121")
    )


@pytest.mark.parametrize(("name", "least"), [("densenet121", 29), ("densenet_40_12_cifar", 4)])
def test_least_input(name: str, least: int) -> None:
    model = on_meta(name).eval()
    assert model(torch.empty(1, 3, least, least, device="meta")).dim() == 2
    with pytest.raises(InputError, match=f"the least is {least}x{least}"):
        model(torch.empty(1, 3, least, least - 1, device="meta"))


def test_impossible_depths_are_refused() -> None:
    with pytest.raises(UsageError, match="not 100"):
        DenseNet(100)
    with pytest.raises(UsageError, match="3n"):
        DenseNetCIFAR(41, 12)
    with pytest.raises(UsageError, match="6n"):
        DenseNetBCCIFAR(4, 12)


@settings(max_examples=10, deadline=None)
@given(
    layers=st.integers(1, 5),
    k=st.integers(1, 16),
    bottleneck=st.booleans(),
    classes=st.integers(1, 100),
    channels=st.integers(1, 4),
)
def test_any_options_count_as_computed(
    layers: int, k: int, bottleneck: bool, classes: int, channels: int
) -> None:
    kind, depth = (DenseNetBCCIFAR, 6) if bottleneck else (DenseNetCIFAR, 3)
    with torch.device("meta"):
        model = kind(depth * layers + 4, k, in_channels=channels, num_classes=classes)
    stem = 2 * k if bottleneck else 16
    body, width = closed_form(stem, 3 * (layers,), k, bottleneck)
    expected = 9 * channels * stem + body + (width + 1) * classes
    assert sum(p.numel() for p in model.parameters()) == expected
    assert len(weighted(model)) == depth * layers + 4
