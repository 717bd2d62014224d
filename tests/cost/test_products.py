"""Each formula against loops that count multiply-adds one by one, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

import convarium
from convarium.cost.products import FORMULAS
from convarium.trace import trace

# Reached on this or that device only; their formula is another's, proved here under its name.
SAME_FORMULA = {
    "_convolution": "convolution",
    "cudnn_convolution": "convolution",
    "bmm": "mm",
    "mv": "mm",
    "dot": "mm",
    "vdot": "mm",
    "_int_mm": "mm",
    "_scaled_mm": "mm",
    "addmv": "addmm",
    "addbmm": "addmm",
    "baddbmm": "addmm",
    "_addmm_activation": "addmm",
    "_sparse_mm_reduce_impl": "mm",
    "quantized::linear": "quantized::linear_dynamic",
    "quantized::linear_relu": "quantized::linear_dynamic",
    "quantized::linear_dynamic_fp16": "quantized::linear_dynamic",
    "quantized::linear_relu_dynamic": "quantized::linear_dynamic",
    "_scaled_dot_product_flash_attention": "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention": "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_cudnn_attention": "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_attention_math": "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_fused_attention_overrideable": (
        "_scaled_dot_product_flash_attention_for_cpu"
    ),
}


class Count:
    """A number that counts every multiplication with another one."""

    made = 0

    def __mul__(self, other: Count) -> Count:
        Count.made += 1
        return self


def counted(work: Callable[[], None]) -> int:
    Count.made = 0
    work()
    return Count.made


def values(*shape: int) -> dict[tuple[int, ...], Count]:
    return {at: Count() for at in product(*map(range, shape))}


def multiply(rows: int, inner: int, columns: int) -> None:
    a, b = values(rows, inner), values(inner, columns)
    for i, k, j in product(range(rows), range(inner), range(columns)):
        a[i, k] * b[k, j]


def convolve(conv: Any, sides: tuple[int, ...]) -> None:
    """Tap by tap. A tap on the zero border is multiplied too; a transposed one scatters."""
    groups, kernel = conv.groups, conv.kernel_size
    if conv.transposed:
        places, ins, outs = sides, conv.in_channels, conv.out_channels // groups
    else:
        places = tuple(
            (side + 2 * p - d * (k - 1) - 1) // s + 1
            for side, p, d, k, s in zip(
                sides, conv.padding, conv.dilation, kernel, conv.stride, strict=True
            )
        )
        ins, outs = conv.in_channels // groups, conv.out_channels
    one, tap = Count(), Count()
    for _ in product(*map(range, places), range(ins), range(outs), *map(range, kernel)):
        one * tap


CONVOLUTIONS = [
    (nn.Conv1d(2, 3, 3, padding=1), (7,)),
    (nn.Conv2d(2, 4, 3, stride=2, padding=1), (6, 5)),
    (nn.Conv2d(4, 4, (1, 3), groups=2), (4, 5)),
    (nn.Conv2d(4, 8, 3, groups=4, dilation=2), (6, 6)),
    (nn.Conv3d(1, 2, 2), (3, 3, 3)),
    (nn.ConvTranspose1d(2, 3, 3, stride=2), (4,)),
    (nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), (3, 4)),
    (nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2), (3, 3)),
    (nn.ConvTranspose3d(2, 2, 2, groups=2), (2, 2, 2)),
]


@pytest.mark.parametrize(("conv", "sides"), CONVOLUTIONS, ids=lambda v: str(v).replace(" ", ""))
def test_convolution(conv: Any, sides: tuple[int, ...]) -> None:
    wanted = counted(lambda: convolve(conv, sides))
    report = convarium.measure_cost(conv, (conv.in_channels, *sides), training=True)
    assert (report.macs, report.macs_backward) == (wanted, wanted)  # the picture has no gradient


def test_a_picture_without_a_batch() -> None:
    """conv2d takes (C, H, W) too: torch adds the batch of one before the operator."""

    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x[0])

    wanted = counted(lambda: convolve(nn.Conv2d(2, 3, 3), (6, 6)))
    assert convarium.measure_cost(Single(), (2, 6, 6)).macs == wanted


class Products(NamedTuple):
    """An expression of parameters, and loops that do its multiplications."""

    shapes: tuple[tuple[int, ...], ...]
    expression: Callable[..., Tensor]
    loops: Callable[[], None]
    backward: int = 2  # products of the same size, one an operand


def bilinear() -> None:
    """x1 (2, 3), weight (4, 3, 5), x2 (2, 5): for each output, x1 W, then its dot with x2."""
    x, w = values(2, 3), values(4, 3, 5)
    for n, o, i, j in product(range(2), range(4), range(3), range(5)):
        x[n, i] * w[o, i, j]


def attention(heads: int, queries: int, keys: int, width: int, value_width: int) -> None:
    one = Count()
    for _ in product(range(heads), range(queries), range(keys)):
        for _ in range(width):
            one * one
        for _ in range(value_width):
            one * one


MATRICES = {
    "mm": Products(((3, 4), (4, 5)), torch.mm, lambda: multiply(3, 4, 5)),
    "mv": Products(((3, 4), (4,)), torch.mv, lambda: multiply(3, 4, 1)),
    "dot": Products(((4,), (4,)), torch.dot, lambda: multiply(1, 4, 1)),
    "bmm": Products(
        ((2, 3, 4), (2, 4, 5)), torch.bmm, lambda: [multiply(3, 4, 5) for _ in range(2)]
    ),
    "addmm": Products(((3, 5), (3, 4), (4, 5)), torch.addmm, lambda: multiply(3, 4, 5)),
    "addmv": Products(((3,), (3, 4), (4,)), torch.addmv, lambda: multiply(3, 4, 1)),
    "addbmm": Products(
        ((3, 5), (2, 3, 4), (2, 4, 5)),
        torch.addbmm,
        lambda: [multiply(3, 4, 5) for _ in range(2)],
    ),
    "baddbmm": Products(
        ((2, 3, 5), (2, 3, 4), (2, 4, 5)),
        torch.baddbmm,
        lambda: [multiply(3, 4, 5) for _ in range(2)],
    ),
    "addr": Products(((3, 4), (3,), (4,)), torch.addr, lambda: multiply(3, 1, 4)),
    "linear": Products(((2, 3, 4), (5, 4)), F.linear, lambda: multiply(6, 4, 5)),
    # Each row with its norm and a one beside it, as torch computes the distances of many rows.
    "_euclidean_dist": Products(((30, 4), (30, 4)), torch.cdist, lambda: multiply(30, 6, 30)),
    # Five places of time, two sequences; three taps of four channels.
    "conv_tbc": Products(
        ((7, 2, 4), (3, 4, 5), (5,)), torch.conv_tbc, lambda: multiply(5 * 2, 3 * 4, 5)
    ),
    "_trilinear": Products(((2, 3), (2, 5), (4, 3, 5)), F.bilinear, bilinear, backward=3),
}


class Parameters(nn.Module):
    """An expression of its parameters alone; the picture is passed by."""

    def __init__(self, case: Products) -> None:
        super().__init__()
        self.operands = nn.ParameterList(torch.randn(shape) for shape in case.shapes)
        self.expression = case.expression

    def forward(self, x: Tensor) -> Tensor:
        return self.expression(*self.operands)


@pytest.mark.parametrize("name", MATRICES)
def test_matrix_products(name: str) -> None:
    case = MATRICES[name]
    wanted = counted(case.loops)  # type: ignore[arg-type]
    report = convarium.measure_cost(Parameters(case), (1,), training=True)
    assert report.macs == wanted
    assert report.macs_backward == case.backward * wanted


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_attention(causal: bool, device: str) -> None:
    """Queries 3, keys 5, heads 2, width 4: masked pairs are computed too."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    shapes = ((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4))
    wanted = counted(lambda: attention(2, 3, 5, 4, 4))
    model = Parameters(Products(shapes, attend, lambda: None))
    report = convarium.measure_cost(model, (1,), training=True, device=device)
    assert (report.macs, report.macs_backward) == (wanted, 2 * wanted)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_attention_with_fewer_heads_of_keys(device: str) -> None:
    """Four heads of queries share two of keys: the pairs are those of the queries."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    shapes = ((1, 4, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4))
    model = Parameters(Products(shapes, attend, lambda: None))
    wanted = counted(lambda: attention(4, 3, 5, 4, 4))
    assert convarium.measure_cost(model, (1,), device=device).macs == wanted


class Deformed(nn.Module):
    """Offsets (and masks) from a convolution of the picture, or held as they are."""

    def __init__(self, *, learned: bool, groups: int, masked: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 4 // groups, 3, 2))
        taps = 3 * 2
        self.where = nn.Conv2d(4, (3 if masked else 2) * taps, (3, 2), bias=False)
        self.where.requires_grad_(learned)
        self.masked = masked

    def forward(self, x: Tensor) -> Tensor:
        found = self.where(x)
        offset, mask = found[:, :12], found[:, 12:] if self.masked else None
        return deform_conv2d(x, offset, self.weight, mask=mask)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize(("groups", "masked"), [(1, False), (2, False), (1, True)])
def test_deformed_convolution(learned: bool, groups: int, masked: bool) -> None:
    """Taps as those of a convolution. Learned offsets need the gradient of what they pick."""

    def loops() -> None:
        one = Count()
        for _ in product(range(5), range(5), range(6), range(4 // groups), range(3), range(2)):
            one * one  # on a 7 x 6 picture a 3 x 2 filter has 5 x 5 places

    model = Deformed(learned=learned, groups=groups, masked=masked)
    own = counted(loops)
    other = counted(lambda: convolve(model.where, (7, 6)))
    rows = convarium.measure_cost(model, (4, 7, 6), training=True).rows
    (row,) = (row for row in rows if row.kind == "torchvision::deform_conv2d")
    assert (row.macs, row.macs_backward) == (own, (1 + learned) * own)
    (row,) = (row for row in rows if row.name == "where")
    assert (row.macs, row.macs_backward) == (other, learned * other)


def self_attention(length: int, width: int, heads: int) -> tuple[int, int, int]:
    """Multiplications of the projections in, of the pairs, and of the projection out."""
    projections = counted(lambda: [multiply(length, width, width) for _ in range(3)])
    own = width // heads
    return (
        projections,
        counted(lambda: attention(heads, length, length, own, own)),
        counted(lambda: multiply(length, width, width)),
    )


class Heads(nn.Module):
    """Multi-head attention of a sequence with itself."""

    def __init__(self, *, weights: bool) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x, x, x, need_weights=self.weights)[0]


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("weights", [True, False])
def test_multi_head_attention_in_training(weights: bool, device: str) -> None:
    """The sequence is the picture: the projections in have a gradient for their weights alone."""
    into, pairs, out = self_attention(5, 8, 2)
    report = convarium.measure_cost(Heads(weights=weights), (5, 8), training=True, device=device)
    assert report.macs == into + pairs + out
    assert report.macs_backward == into + 2 * (pairs + out)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_encoder_layer_in_training(device: str) -> None:
    into, pairs, out = self_attention(5, 8, 2)
    wide = counted(lambda: (multiply(5, 8, 16), multiply(5, 16, 8)))
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    report = convarium.measure_cost(layer, (5, 8), training=True, device=device)
    assert report.macs == into + pairs + out + wide
    assert report.macs_backward == into + 2 * (pairs + out + wide)


def ops_of(model: nn.Module, size: tuple[int, ...]) -> set[str]:
    rows = trace(model.eval(), torch.zeros(2, *size))
    return {op.name for row in rows for op in row.ops}


def test_the_fast_paths() -> None:
    """Fused operators in eval mode on the CPU do the same multiplications."""
    into, pairs, out = self_attention(5, 8, 2)
    wide = counted(lambda: (multiply(5, 8, 16), multiply(5, 16, 8)))
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    for model, fused, macs in (
        (Heads(weights=False), "_native_multi_head_attention", into + pairs + out),
        (layer, "_transformer_encoder_layer_fwd", into + pairs + out + wide),
    ):
        assert fused in ops_of(model, (5, 8))
        assert convarium.measure_cost(model, (5, 8), device="cpu").macs == macs


def test_the_fused_lstm() -> None:
    """Each of 6 steps: 4 gates of 5 from 3 inputs and from 5 hidden values."""

    def loops() -> None:
        for _ in range(6):
            multiply(1, 3, 20)
            multiply(1, 5, 20)

    model = nn.LSTM(3, 5, batch_first=True)
    assert "mkldnn_rnn_layer" in ops_of(model, (6, 3))
    wanted = counted(loops)
    assert convarium.measure_cost(model, (6, 3), device="cpu").macs == wanted
    assert convarium.measure_cost(model, (6, 3)).macs == wanted


def test_every_formula_is_proved() -> None:
    """Here, or under another's name."""
    fused = {
        *("_native_multi_head_attention", "_transformer_encoder_layer_fwd"),
        *("mkldnn_rnn_layer", "torchvision::deform_conv2d"),
    }
    here = {*MATRICES, *fused, "convolution", "_scaled_dot_product_flash_attention_for_cpu"}
    here |= {"_sparse_addmm", "sparse_sampled_addmm"}  # in test_sparse.py
    here |= {"_grouped_mm", "quantized::linear_dynamic", "_cudnn_rnn"}  # in test_rare_products.py
    torchs_own = {name for name in FORMULAS if not name.startswith("mylib")}
    assert torchs_own == here | set(SAME_FORMULA)
    assert set(SAME_FORMULA.values()) <= here
