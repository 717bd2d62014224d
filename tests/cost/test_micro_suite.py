"""One small module a case against the closed form of its multiply-adds, integer for integer.

The cases are those where other counters give silent zeros, factors or wrong units: transposed and
functional convolutions, recurrent layers, attention in every form, tied and reparametrised weights.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

import convarium


class Case(NamedTuple):
    """`macs` is the closed form for one sample of shape `size`."""

    name: str
    module: nn.Module
    size: tuple[int, ...]
    macs: int


class Call(nn.Module):
    """Wraps a function of the input, and parameters for it, as a module."""

    def __init__(self, function, *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(torch.randn(shape) for shape in shapes)

    def forward(self, x):
        return self.function(x, *self.weights)


class First(nn.Module):
    """The first of a module's outputs, as recurrent layers and attention give several."""

    def __init__(self, module: nn.Module, copies: int = 1) -> None:
        super().__init__()
        self.module, self.copies = module, copies

    def forward(self, x):
        return self.module(*[x] * self.copies)[0]


class Twice(nn.Module):
    """A module given its input twice."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x, x)


class Loop(nn.Module):
    """One layer called three times: its parameters count once, its work three times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        for _ in range(3):
            x = self.layer(x)
        return x


class Growing(nn.Module):
    """As many turns as a value of the picture says: of zeros, three."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        for _ in range(3 + int(x.abs().max())):
            x = self.layer(x)
        return x


class OnlyOnCpu(Loop):
    """Refuses every device but the CPU before torch sees the call."""

    def forward(self, x):
        if x.device.type != "cpu":
            raise ValueError("this layer has a kernel for the CPU alone")
        return super().forward(x)


class Lookup(nn.Module):
    """Rows of a table, one an index or summed over a bag."""

    def __init__(self, table: nn.Module) -> None:
        super().__init__()
        self.table = table

    def forward(self, x):
        return self.table(x.long())


def tied() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].weight = model[0].weight
    return model


def attend(causal: bool):
    return lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=causal)


HEADS = (2, 5, 4)  # heads, length, width of a head
SELF = 2 * 2 * 5 * 5 * 4  # queries by keys and weights by values
# LSTM: 4 gates, GRU: 3, RNN: 1, each I*H + H*H a step; 6 steps, I = 3, H = 5.
STEP = 6 * (3 * 5 + 5 * 5)

CASES = [
    Case("conv1d", nn.Conv1d(3, 4, 5), (3, 20), 16 * 4 * 3 * 5),
    Case("conv2d", nn.Conv2d(3, 4, 3), (3, 8, 8), 36 * 4 * 27),
    Case("conv3d", nn.Conv3d(2, 3, 3), (2, 5, 5, 5), 27 * 3 * 2 * 27),
    Case("stride", nn.Conv2d(3, 4, 3, stride=2, padding=1), (3, 8, 8), 16 * 4 * 27),
    Case("dilated", nn.Conv2d(3, 4, 3, dilation=2), (3, 8, 8), 16 * 4 * 27),
    Case("grouped", nn.Conv2d(4, 8, 3, groups=2), (4, 8, 8), 36 * 8 * 18),
    Case("depthwise", nn.Conv2d(4, 4, 3, groups=4), (4, 8, 8), 36 * 4 * 9),
    Case("depthwise x2", nn.Conv2d(4, 8, 3, groups=4), (4, 8, 8), 36 * 8 * 9),
    Case("pointwise", nn.Conv2d(4, 8, 1), (4, 8, 8), 64 * 32),
    Case("circular", nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (3, 8, 8), 64 * 108),
    Case("transposed 1d", nn.ConvTranspose1d(3, 4, 4, stride=2), (3, 10), 10 * 3 * 4 * 4),
    Case("transposed 2d", nn.ConvTranspose2d(3, 4, 4, stride=2), (3, 5, 5), 25 * 3 * 4 * 16),
    Case("transposed 3d", nn.ConvTranspose3d(2, 3, 2, stride=2), (2, 3, 3, 3), 27 * 2 * 3 * 8),
    Case("transposed groups", nn.ConvTranspose2d(4, 4, 3, groups=2), (4, 5, 5), 25 * 4 * 2 * 9),
    Case("functional conv", Call(F.conv2d, (4, 3, 3, 3)), (3, 8, 8), 36 * 4 * 27),
    Case("functional transposed", Call(F.conv_transpose2d, (3, 4, 2, 2)), (3, 5, 5), 25 * 48),
    Case("linear", nn.Linear(6, 7), (6,), 42),
    Case("linear on a sequence", nn.Linear(6, 7), (5, 6), 5 * 42),
    Case("no bias", nn.Linear(6, 7, bias=False), (6,), 42),
    Case("functional linear", Call(F.linear, (7, 6)), (6,), 42),
    Case("bilinear", Call(lambda x, w: F.bilinear(x, x, w), (5, 6, 6)), (6,), 5 * 36),
    Case("mm", Call(lambda x, w: x @ w, (6, 7)), (6,), 42),
    Case("bmm", Call(lambda x: torch.bmm(x, x.transpose(1, 2))), (5, 6), 5 * 5 * 6),
    Case("addmm", Call(lambda x, w, b: torch.addmm(b, x, w), (6, 7), (7,)), (6,), 42),
    Case("baddbmm", Call(lambda x: torch.baddbmm(x @ x, x, x)), (4, 4), 2 * 64),
    Case("mv", Call(lambda x, w: torch.mv(w, x[0]), (7, 6)), (6,), 42),
    Case("dot", Call(lambda x, w: torch.dot(x[0], w), (6,)), (6,), 6),
    Case("einsum", Call(lambda x, w: torch.einsum("bij,jk->bik", x, w), (6, 7)), (5, 6), 210),
    Case("matmul 4d", Call(lambda x: x @ x.transpose(-1, -2)), HEADS, 2 * 5 * 5 * 4),
    Case("rnn", First(nn.RNN(3, 5, batch_first=True)), (6, 3), STEP),
    Case("lstm", First(nn.LSTM(3, 5, batch_first=True)), (6, 3), 4 * STEP),
    Case("gru", First(nn.GRU(3, 5, batch_first=True)), (6, 3), 3 * STEP),
    Case("two ways", First(nn.LSTM(3, 5, batch_first=True, bidirectional=True)), (6, 3), 8 * STEP),
    Case(
        "two layers",
        First(nn.LSTM(3, 5, num_layers=2, batch_first=True)),
        (6, 3),
        4 * STEP + 4 * 6 * (25 + 25),
    ),
    Case(
        "gru two ways", First(nn.GRU(3, 5, batch_first=True, bidirectional=True)), (6, 3), 6 * STEP
    ),
    Case(
        "lstm projected",  # hidden values of 2: gates from 3 + 2, then 5 to 2
        First(nn.LSTM(3, 5, proj_size=2, batch_first=True)),
        (6, 3),
        4 * 6 * (3 * 5 + 2 * 5) + 6 * 5 * 2,
    ),
    Case("lstm cell", First(nn.LSTMCell(3, 5)), (3,), 4 * (3 * 5 + 5 * 5)),
    Case("attention", Call(attend(causal=False)), HEADS, SELF),
    Case("causal attention", Call(attend(causal=True)), HEADS, SELF),
    Case(
        "multi-head attention",
        First(nn.MultiheadAttention(8, 2, batch_first=True), copies=3),
        (5, 8),
        4 * 5 * 64 + 2 * 5 * 5 * 8,
    ),
    Case(
        "encoder layer",
        nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True),
        (5, 8),
        4 * 5 * 64 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16,
    ),
    Case(
        "decoder layer",  # attends to itself, then to a memory: here the same sequence
        Twice(nn.TransformerDecoderLayer(8, 2, dim_feedforward=16, batch_first=True)),
        (5, 8),
        2 * (4 * 5 * 64 + 2 * 5 * 5 * 8) + 2 * 5 * 8 * 16,
    ),
    Case("weight norm", parametrizations.weight_norm(nn.Linear(6, 7)), (6,), 42),
    Case("weight norm conv", parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), (3, 8, 8), 36 * 108),
    # The largest singular value: u'(Wv), and then the layer.
    Case("spectral norm", parametrizations.spectral_norm(nn.Linear(6, 7)), (6,), 42 + 42 + 7),
    Case("embedding layer", Lookup(nn.Embedding(10, 4)), (5,), 0),
    Case("embedding bag", Lookup(nn.EmbeddingBag(10, 4)), (5,), 0),
    Case("loop by a value", Growing(), (8,), 3 * 64),
    Case("cpu alone", OnlyOnCpu(), (8,), 3 * 64),
    Case(
        "einsum of four",
        Call(lambda x, w: torch.einsum("bhqd,hdk->bhqk", x, w), (2, 4, 3)),
        HEADS,
        2 * 5 * 4 * 3,
    ),
    Case("embedding", Call(lambda x, w: F.embedding(x.long(), w), (10, 4)), (5,), 0),
    Case("tied", tied(), (8,), 2 * 64),
    Case("loop", Loop(), (8,), 3 * 64),
    Case("normalised", nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4)), (3, 8, 8), 64 * 12),
    Case("layer norm", nn.LayerNorm(8), (5, 8), 0),
    Case("instance norm", nn.InstanceNorm2d(3), (3, 8, 8), 0),
    Case("resize", nn.Upsample(scale_factor=2, mode="bilinear"), (3, 8, 8), 0),
    Case("adaptive pool", nn.AdaptiveAvgPool2d(3), (3, 8, 8), 0),
    Case("shuffle", nn.PixelShuffle(2), (4, 8, 8), 0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_closed_form(case) -> None:
    report = convarium.measure_cost(case.module, case.size)
    assert (report.macs, report.status) == (case.macs, "exact")
    assert report.params == sum(p.numel() for p in case.module.parameters())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_batch_of_three(case) -> None:
    if case.name in ("mv", "dot", "spectral norm"):  # the first sample alone; weights alone
        return
    assert convarium.measure_cost(case.module, case.size, batch_size=3).macs == 3 * case.macs


@pytest.mark.parametrize(
    ("name", "way"), [("loop", "meta"), ("cpu alone", "fake"), ("loop by a value", "cpu")]
)
def test_the_report_says_how_it_was_traced(name, way) -> None:
    case = next(case for case in CASES if case.name == name)
    assert convarium.measure_cost(case.module, case.size).traced_on == way


@pytest.mark.parametrize("name", ["attention", "causal attention", "multi-head attention", "lstm"])
def test_the_cpu_kernels_count_the_same(name) -> None:
    """On a real device fused kernels run in place of the products: same closed form."""
    case = next(case for case in CASES if case.name == name)
    assert convarium.measure_cost(case.module, case.size, device="cpu").macs == case.macs


@pytest.mark.parametrize("fast", [True, False])
def test_encoder_layer_with_and_without_its_fast_path(fast) -> None:
    case = next(case for case in CASES if case.name == "encoder layer")
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fast)
    try:
        assert convarium.measure_cost(case.module, case.size, device="cpu").macs == case.macs
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


@pytest.mark.parametrize("case", [c for c in CASES if c.macs], ids=lambda case: case.name)
def test_backward(case) -> None:
    """Two more products of the same size, but no gradient for the picture itself."""
    if "attention" in case.name or case.name in ("encoder layer", "bmm", "matmul 4d", "baddbmm"):
        return  # products of the input with itself: see below
    report = convarium.measure_cost(case.module, case.size, training=True)
    assert case.macs <= report.macs_backward <= 2 * case.macs
    single = nn.Sequential(case.module)
    assert convarium.measure_cost(single, case.size, training=True).macs_backward == (
        report.macs_backward
    )
