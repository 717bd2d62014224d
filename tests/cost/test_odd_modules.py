"""Modules that people bring and other counters stumble over, against their closed forms."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize, rnn

import convarium
from convarium.errors import InputError


class Does(nn.Module):
    """Calls a function with a module and the picture."""

    def __init__(self, function: Any, module: nn.Module | None = None) -> None:
        super().__init__()
        self.function, self.module = function, module

    def forward(self, x: Tensor) -> Any:
        return self.function(x) if self.module is None else self.function(self.module, x)


@dataclass
class Answer:
    logits: Tensor
    extra: object = None


class GivesAnswer(nn.Linear):
    def forward(self, x: Tensor) -> Answer:
        return Answer(super().forward(x))


class LowRank(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(8, 2)), nn.Parameter(torch.randn(2, 8))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.a @ self.b


def low_rank() -> nn.Module:
    layer = nn.Linear(8, 8)
    parametrize.register_parametrization(layer, "weight", LowRank())
    return layer


def nested(levels: int) -> nn.Module:
    model: nn.Module = nn.Linear(8, 8)
    for _ in range(levels):
        model = nn.Sequential(model)
    return model


def packed(module: nn.Module, x: Tensor) -> Tensor:
    lengths = torch.full((len(x),), x.shape[1])
    return module(rnn.pack_padded_sequence(x, lengths, batch_first=True))[0].data


def per_sample(module: nn.Module, x: Tensor) -> Tensor:
    """Each picture has a kernel of its own, computed from it."""
    weight = module(x.mean((2, 3))).reshape(-1, 3, 3, 3)
    return F.conv2d(x.reshape(1, -1, 8, 8), weight, groups=len(x))


def masked(module: nn.Module, x: Tensor) -> Tensor:
    return module(x, src_key_padding_mask=torch.zeros(x.shape[:2], dtype=torch.bool))


def grouped_queries(x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x, x[:, :2], x[:, :2], enable_gqa=True)


def derivative(module: nn.Module, x: Tensor) -> Tensor:
    return torch.func.jvp(module, (x,), (x,))[1]


def experts(gate: nn.Module, x: Tensor) -> Tensor:
    """Rows of the first picture go to 4 experts in equal parts, by one grouped product."""
    ends = torch.tensor([8, 16, 24, 32], dtype=torch.int32, device=x.device)
    weights = x.new_zeros(4, 8, 16, dtype=torch.bfloat16)
    gate(x)
    return torch._grouped_mm(x[0].bfloat16(), weights, offs=ends)


class Frequencies(nn.Module):
    """A spectral layer: 3 channels to 4 at each of 8 x 5 frequencies; its weights are complex."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, 8, 5, dtype=torch.cfloat))

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.einsum("bixy,ioxy->boxy", torch.fft.rfft2(x), self.weight))


class Case(NamedTuple):
    """`macs` is the closed form for one sample of shape `size`."""

    name: str
    module: nn.Module
    size: tuple[int, ...]
    macs: int


STEP = 6 * (3 * 5 + 5 * 5)  # a gate of a recurrent layer, 6 steps of 3 values, 5 hidden
ENCODER = 4 * 5 * 64 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16
CONV = 36 * 4 * 27
CASES = [
    Case("a kernel a picture", Does(per_sample, nn.Linear(3, 108)), (3, 8, 8), 3 * 108 + 36 * 108),
    Case("low-rank parametrization", low_rank(), (8,), 8 * 2 * 8 + 64),
    Case("packed lstm", Does(packed, nn.LSTM(3, 5, batch_first=True)), (6, 3), 4 * STEP),
    Case("packed gru", Does(packed, nn.GRU(3, 5, batch_first=True)), (6, 3), 3 * STEP),
    Case("grouped queries", Does(grouped_queries), (4, 5, 8), 2 * 4 * 5 * 5 * 8),
    Case(
        "encoder with a padding mask",
        Does(
            masked, nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3)
        ),
        (5, 8),
        3 * ENCODER,
    ),
    # Each row with its norm and a one, twice: 8 values.
    Case("distances of many rows", Does(lambda x: torch.cdist(x, x)), (40, 6), 40 * 40 * 8),
    Case(
        "time first",
        Does(lambda x: torch.conv_tbc(x, x.new_ones(1, 4, 2), x.new_ones(2))),
        (5, 4),
        5 * 8,
    ),
    Case("half", nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).half(), (3, 8, 8), CONV),
    Case("double", nn.Conv2d(3, 4, 3).double(), (3, 8, 8), CONV),
    Case("complex", nn.Linear(8, 8, dtype=torch.cfloat), (8,), 64),
    Case("a dataclass comes out", GivesAnswer(8, 8), (8,), 64),
    Case("nested 230 deep", nested(230), (8,), 64),
    Case("data parallel", nn.DataParallel(nn.Linear(8, 8)), (8,), 64),
    Case("vmap", Does(torch.func.vmap(lambda row: row @ row.T)), (4, 8), 4 * 4 * 8),
    Case("a mask of the picture", Does(lambda m, x: m(x)[x >= 0], nn.Linear(8, 8)), (8,), 64),
    Case("prelu", nn.PReLU(3), (3, 8, 8), 0),
    Case("leaky at random", nn.RReLU(), (3, 8, 8), 0),
    Case("log sigmoid", nn.LogSigmoid(), (8,), 0),
    Case("padding of a volume", nn.ReflectionPad3d(1), (3, 4, 4, 4), 0),
    Case(
        "embedding of bounded norm",
        Does(lambda m, x: m(x.long()), nn.Embedding(9, 4, max_norm=1.0)),
        (5,),
        0,
    ),
    Case("losses", Does(lambda x: F.smooth_l1_loss(x, x) + F.huber_loss(x, x)), (8,), 0),
    Case("unique values", Does(torch.unique), (8,), 0),
    Case("lists of tensors", Does(lambda x: torch._foreach_add([x, x], 1.0)), (8,), 0),
    Case("compiled", torch.compile(nn.Linear(8, 8)), (8,), 64),
    # The layer once, and its derivative by weight and by picture.
    Case("forward derivative", Does(derivative, nn.Linear(8, 8)), (8,), 3 * 64),
    Case("words", nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 8)), (5,), 5 * 64),
    Case("bags of words", nn.Sequential(nn.EmbeddingBag(9, 8), nn.Linear(8, 8)), (5,), 64),
    Case(
        "words one-hot",
        Does(lambda m, x: m(F.one_hot(x, 9).float()), nn.Linear(9, 8)),
        (5,),
        5 * 72,
    ),
    Case("experts", Does(experts, nn.Linear(8, 4)), (32, 8), 32 * (8 * 4 + 8 * 16)),
    Case("parts of complex numbers", Does(lambda x: torch.complex(x, x).abs()), (8,), 0),
]


@pytest.mark.filterwarnings("ignore")  # torch's own words about prototypes and padding
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_closed_form(case) -> None:
    report = convarium.measure_cost(case.module, case.size)
    assert (report.macs, report.status) == (case.macs, "exact")
    assert sum(row.macs for row in report.rows) == report.macs


@pytest.mark.filterwarnings("ignore")  # torch moves these layers to another library
def test_a_layer_whose_weight_is_packed_away() -> None:
    layer = torch.ao.nn.quantized.dynamic.Linear(8, 6)
    reports = [convarium.measure_cost(layer, (8,)) for _ in range(2)]
    assert [(report.macs, report.status) for report in reports] == [(48, "exact")] * 2
    assert reports[0].traced_on == reports[1].traced_on


def test_bytes_follow_the_models_own_precision() -> None:
    half = convarium.measure_cost(nn.Conv2d(3, 4, 3).half(), (3, 8, 8))
    assert half.activation_bytes == 2 * 4 * 36


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (torch.linalg.inv, "linalg_inv_ex"),
        (torch.linalg.svdvals, "_linalg_svd"),
        (torch.matrix_exp, "linalg_matrix_exp"),
        (lambda x: torch.fft.fft2(x).real, "_fft_c2c"),
    ],
)
def test_what_has_no_formula_is_named(function, operator) -> None:
    report = convarium.measure_cost(Does(function), (8, 8))
    assert (report.status, report.unknown_ops) == ("lower_bound", (operator,))


def test_a_real_picture_for_complex_weights() -> None:
    report = convarium.measure_cost(Frequencies(), (3, 8, 8))
    assert (report.macs, report.status) == (3 * 4 * 8 * 5, "lower_bound")
    assert report.unknown_ops == ("_fft_r2c", "_fft_c2r")


def test_a_batch_norm_over_one_value_asks_for_a_batch() -> None:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))
    with pytest.raises(InputError, match="Give a batch of 2 or more"):
        convarium.measure_cost(model, (3, 8, 8), training=True)
    convarium.measure_cost(model, (3, 8, 8), batch_size=2, training=True)


class Ends(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        sys.exit(3)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Linear(8, 8), Ends()), "in 1 cannot take a picture of 1x8: it ends the"),
        (Does(lambda x: x["image"]), "If it takes something else: wrap it in a module"),
        (Does(lambda x: {}[0]), "KeyError 0"),
        (Does(lambda x: torch.nested.nested_tensor([x[0], x[0]])), "pad it instead"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # nested tensors are a prototype, says torch
def test_refusals_are_one_sentence(module, words) -> None:
    with pytest.raises(InputError) as caught:
        convarium.measure_cost(module, (8,))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


class _InTrainingAlone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.conv(x)
        return x


class _AlwaysTraining(_InTrainingAlone):
    def train(self, mode: bool = True) -> _AlwaysTraining:
        return super().train(True)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch.jit
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("build", "in_eval"),
    [
        (_InTrainingAlone, 0),
        (lambda: torch.jit.script(_InTrainingAlone()), 0),
        (_AlwaysTraining, 6 * 6 * 4 * 27),
    ],
    ids=["plain", "scripted", "own train()"],
)
def test_a_module_is_counted_in_the_mode_asked_for(build, in_eval: int, before: bool) -> None:
    model = build().train(before)
    was = model.training
    assert convarium.measure_cost(model, (3, 8, 8)).macs == in_eval
    assert convarium.measure_cost(model, (3, 8, 8), training=True).macs == 6 * 6 * 4 * 27
    assert model.training == was
