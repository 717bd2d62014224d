"""Predicted peaks of small networks of one layer each, against the allocator's own.

On one thread: with more, oneDNN sums the gradients of weights in parts.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.profiler import ProfilerActivity, profile

import convarium
from cost.test_memory import OPTIMIZERS, most_live, real_peak

pytestmark = pytest.mark.usefixtures("one_thread")
torchvision = pytest.importorskip("torchvision")

SIDE, PICTURES = 32, 4


def hold_against_the_allocator(model: nn.Module, training: bool, precision: str) -> None:
    """Closer than the 2 % at worst that are promised of whole networks."""
    model.train(training)
    x = torch.rand(PICTURES, 3, SIDE, SIDE)
    if training:
        real = real_peak(model, x, OPTIMIZERS["sgd"](model.parameters()), precision)
    else:
        real = inference_peak(model, x, precision)
    report = convarium.predict_memory(
        model, (3, SIDE, SIDE), batch_size=PICTURES, training=training, precision=precision
    )
    assert report.traced_on == "meta"
    assert report.peak_bytes == pytest.approx(real, rel=0.01)


def inference_peak(model: nn.Module, x: Tensor, precision: str) -> int:
    half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
    watch = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    with watch as prof, torch.no_grad(), half:
        model(x)
    held = {t.untyped_storage().data_ptr(): t for t in (*model.parameters(), *model.buffers(), x)}
    return sum(t.untyped_storage().nbytes() for t in held.values()) + most_live(prof)[0]


class OfPatches(nn.Module):
    """A layer over the (N, 256, width) patches of a picture, and a classifier of their mean."""

    def __init__(self, layer: nn.Module, width: int = 96) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 2, 2)
        self.layer = layer
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class Fused(nn.Module):
    """torch's fused attention, with a mask of any kind."""

    def __init__(self, width: int, heads: int, mask: Callable[[Tensor], Tensor | None]) -> None:
        super().__init__()
        self.qkv, self.heads, self.mask = nn.Linear(width, 3 * width), heads, mask

    def forward(self, x: Tensor) -> Tensor:
        count, steps, width = x.shape
        parts = self.qkv(x).reshape(count, steps, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind()
        y = scaled_dot_product_attention(q, k, v, attn_mask=self.mask(q))
        return x + y.transpose(1, 2).reshape(x.shape)


class Attends(nn.Module):
    """`nn.MultiheadAttention` of the patches to themselves, or of a few queries to them."""

    def __init__(self, *, queries: int = 0, weights: bool = False, padded: bool = False) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(96, 4, batch_first=True)
        self.queries = nn.Parameter(torch.zeros(1, queries, 96)) if queries else None
        self.weights, self.padded = weights, padded

    def forward(self, x: Tensor) -> Tensor:
        q = x if self.queries is None else self.queries.expand(len(x), -1, -1)
        padding = torch.zeros(x.shape[:2], dtype=torch.bool) if self.padded else None
        return self.attention(q, x, x, key_padding_mask=padding, need_weights=self.weights)[0]


def encoder(**options) -> nn.Module:
    layer = nn.TransformerEncoderLayer(96, 4, 256, batch_first=True, **options)
    return nn.Sequential(nn.LayerNorm(96), layer, layer)


ATTENTION = {
    "fused": lambda: OfPatches(Fused(96, 4, lambda q: None)),
    "odd heads": lambda: OfPatches(Fused(60, 4, lambda q: None), 60),
    "bool mask": lambda: OfPatches(Fused(96, 4, lambda q: torch.ones(256, 256, dtype=torch.bool))),
    "float mask": lambda: OfPatches(Fused(96, 4, lambda q: q.new_zeros(4, 4, 256, 256))),
    "multi-head": lambda: OfPatches(Attends()),
    "few queries": lambda: OfPatches(Attends(queries=8)),
    "with weights": lambda: OfPatches(Attends(weights=True)),
    "padded": lambda: OfPatches(Attends(padded=True)),
    "encoder": lambda: OfPatches(encoder()),
    "encoder, norm first": lambda: OfPatches(encoder(norm_first=True, activation="gelu")),
}
ANY = {"training": True, "inference": False}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("training", ANY.values(), ids=ANY.keys())
@pytest.mark.parametrize("name", ATTENTION)
def test_attention(name, training, precision) -> None:
    hold_against_the_allocator(ATTENTION[name](), training, precision)


def last(*layers: nn.Module) -> nn.Module:
    """Layers that keep 64 maps, between a stem and a classifier, with their channels last."""
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    model = nn.Sequential(nn.Conv2d(3, 64, 3), *layers, *head)
    return model.to(memory_format=torch.channels_last)


CHANNELS_LAST = {
    "relu": lambda: last(nn.Conv2d(64, 64, 3), nn.ReLU()),
    "relu 6": lambda: last(nn.Conv2d(64, 64, 3), nn.ReLU6()),
    "swish": lambda: last(nn.Conv2d(64, 64, 3), nn.Hardswish()),
    "pixels": lambda: last(nn.Conv2d(64, 64, 1), nn.ReLU()),
    "depthwise": lambda: last(nn.Conv2d(64, 64, 3, groups=64), nn.ReLU()),
    "groups": lambda: last(nn.Conv2d(64, 64, 3, groups=4), nn.ReLU()),
    "steps": lambda: last(nn.Conv2d(64, 64, 3, 2), nn.ReLU()),
    "group norm": lambda: last(nn.Conv2d(64, 64, 3), nn.GroupNorm(4, 64), nn.ReLU()),
    "border": lambda: last(nn.Conv2d(64, 64, 3), nn.ReflectionPad2d(1), nn.ReLU()),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", CHANNELS_LAST)
def test_training_with_channels_last(name, precision) -> None:
    hold_against_the_allocator(CHANNELS_LAST[name](), True, precision)


class Deforms(nn.Module):
    """A convolution of 64 maps that looks where a parameter says, for all pictures alike."""

    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Parameter(torch.zeros(1, 18, 28, 28))
        self.conv = torchvision.ops.DeformConv2d(64, 64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, self.where.expand(len(x), -1, -1, -1))


@pytest.mark.parametrize("training", ANY.values(), ids=ANY.keys())
def test_a_deformable_convolution_copies_what_lies_otherwise(training) -> None:
    hold_against_the_allocator(last(Deforms()), training, "fp32")


class OfWords(nn.Module):
    """A layer over the pixels of a picture as words, and a classifier."""

    def __init__(self, layer: nn.Module, width: int = 64, words: int = 3072) -> None:
        super().__init__()
        self.layer, self.head, self.words = layer, nn.Linear(width, 10), words

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer((x.flatten(1)[:, : self.words] * 255).long())
        return self.head(y if y.dim() == 2 else y.sum(1))


EMBEDDINGS = {
    "embedding": lambda: OfWords(nn.Embedding(256, 64)),
    "of few words": lambda: OfWords(nn.Embedding(5000, 64), words=16),
    "sum": lambda: OfWords(nn.EmbeddingBag(256, 64, mode="sum")),
    "mean": lambda: OfWords(nn.EmbeddingBag(256, 64, mode="mean")),
    "maximum": lambda: OfWords(nn.EmbeddingBag(256, 512, mode="max"), 512),
}


@pytest.mark.parametrize("training", ANY.values(), ids=ANY.keys())
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings(name, training) -> None:
    hold_against_the_allocator(EMBEDDINGS[name](), training, "fp32")


class OfRows(nn.Module):
    """A recurrent layer that reads a picture row by row, and a classifier of its last state."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.LazyLinear(10)
        self(torch.zeros(1, 3, SIDE, SIDE))  # makes the classifier as wide as the states

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x.permute(0, 2, 1, 3).flatten(2))[0][:, -1])


RECURRENT = {
    "lstm": lambda: OfRows(nn.LSTM(96, 128, batch_first=True)),
    "two layers": lambda: OfRows(nn.LSTM(96, 128, 2, batch_first=True)),
    "both ways": lambda: OfRows(nn.LSTM(96, 128, 2, batch_first=True, bidirectional=True)),
    "gru": lambda: OfRows(nn.GRU(96, 256, batch_first=True)),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_in_inference(name, precision) -> None:
    hold_against_the_allocator(RECURRENT[name](), False, precision)


def test_shuffled_pixels_in_half() -> None:
    """The last convolution has few, wide maps: oneDNN turns them in parts."""
    grow = (nn.Conv2d(3, 64, 3), nn.PixelShuffle(4), nn.Conv2d(4, 10, 3))
    model = nn.Sequential(*grow, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    hold_against_the_allocator(model, True, "bf16")


class OfBothTypes(nn.Module):
    """Under autocast a product of half floats meets a whole one: it is copied, then added."""

    def __init__(self) -> None:
        super().__init__()
        self.dense, self.shift = nn.Linear(96, 96), nn.Parameter(torch.zeros(256, 96))

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x) + self.shift


def test_a_sum_of_half_and_whole_floats() -> None:
    hold_against_the_allocator(OfPatches(OfBothTypes()), False, "bf16")
