"""The quick rules of shapes against torch's own: shape, type and strides of every output."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import convarium
from convarium.trace.arguments import tensors
from convarium.trace.shapes import shortcut


def meta(*shape: int, kind: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=kind, device="meta")


def last(*shape: int) -> Tensor:
    return meta(*shape).to(memory_format=torch.channels_last)


class Compared(TorchDispatchMode):
    """Runs torch's rule and ours of every operator, and notes both."""

    def __init__(self) -> None:
        super().__init__()
        self.covered: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = func.overloadpacket.__name__.rstrip("_"), kwargs or {}
        ours = shortcut(name, func, args, kwargs)
        out = func(*args, **kwargs)
        if ours is not None:
            self.covered.add(name)
            facts = [
                [(t.shape, t.dtype, t.stride(), t.device) for t in tensors(v)] for v in (ours, out)
            ]
            assert facts[0] == facts[1], name
        return out


X, IMAGE, TOKENS, HALF = meta(4, 6), meta(2, 6, 9, 8), meta(2, 5, 6), meta(2, 6, kind=torch.half)
CALLS = {
    "relu": lambda: torch.relu(IMAGE),
    "relu of channels last": lambda: torch.relu(last(2, 6, 9, 8)),
    "in place": lambda: meta(4, 6).mul_(meta(6)),
    "scale a map": lambda: IMAGE * meta(2, 6, 1, 1),
    "a scale first": lambda: meta(2, 6, 1, 1) * IMAGE,
    "both spread": lambda: meta(2, 1, 6) * meta(5, 1),
    "one value spread": lambda: meta(1).expand(4, 6) * X,
    "a row spread": lambda: meta(6).expand(4, 6) * X,
    "a column spread": lambda: meta(4, 1).expand(4, 6) * meta(6, 4).t(),
    "both as large": lambda: meta(1, 4, 6) * X,
    "in place, spread": lambda: meta(4, 6).add_(meta(1).expand(4, 6)),
    "layouts that differ": lambda: IMAGE + last(2, 6, 9, 8),
    "a scalar of another type": lambda: HALF * meta(),
    "arithmetic": lambda: ((X - 1) / X, (-X).abs().exp().sqrt().rsqrt() ** 2, 1 - X, 2**X),
    "alpha": lambda: torch.add(X, X, alpha=2),
    "integers": lambda: meta(3, kind=torch.int64) * 2,
    "integer by float": lambda: meta(3, kind=torch.int64) * 2.5,
    "turned": lambda: X.t() + X.t(),
    "gelu": lambda: F.gelu(TOKENS, approximate="tanh"),
    "conv": lambda: F.conv2d(IMAGE, meta(8, 6, 3, 3), meta(8), stride=2, padding=1),
    "conv of groups": lambda: F.conv2d(IMAGE, meta(8, 3, 3, 1), dilation=2, groups=2),
    "conv 1d": lambda: F.conv1d(TOKENS, meta(7, 5, 2)),
    "conv 3d": lambda: F.conv3d(meta(1, 2, 4, 5, 6), meta(3, 2, 2, 2, 2)),
    "conv of one picture": lambda: F.conv2d(IMAGE[0], meta(8, 6, 3, 3)),
    "conv from channels last": lambda: F.conv2d(last(2, 6, 9, 8), meta(8, 6, 3, 3)),
    "transposed": lambda: F.conv_transpose2d(IMAGE, meta(6, 3, 3, 3), stride=2),
    "batch norm, training": lambda: F.batch_norm(IMAGE, None, None, meta(6), meta(6), True),
    "layer norm": lambda: F.layer_norm(TOKENS, (6,), meta(6), meta(6)),
    "layer norm of two axes": lambda: F.layer_norm(TOKENS, (5, 6)),
    "layer norm of halves": lambda: F.layer_norm(HALF, (6,)),
    "layer norm, turned": lambda: F.layer_norm(TOKENS.transpose(1, 2), (5,)),
    "softmax": lambda: TOKENS.softmax(-1),
    "softmax, turned": lambda: TOKENS.transpose(1, 2).softmax(-1),
    "log softmax to float": lambda: HALF.log_softmax(-1, dtype=torch.float32),
    "attention": lambda: F.scaled_dot_product_attention(TOKENS, TOKENS, TOKENS),
    "max pool": lambda: F.max_pool2d(IMAGE, 3, 2, 1),
    "max pool of uneven windows": lambda: F.max_pool2d(IMAGE, (3, 2)),
    "max pool, ceil": lambda: F.max_pool2d(IMAGE, 3, 2, ceil_mode=True),
    "max pool of channels last": lambda: F.max_pool2d(last(2, 6, 9, 8), 3, 2),
    "cat": lambda: torch.cat([IMAGE, IMAGE, meta(2, 1, 9, 8)], 1),
    "cat, last": lambda: torch.cat([X, X], -1),
    "cat with nothing": lambda: torch.cat([meta(0), X]),
    "cat of types": lambda: torch.cat([X, meta(1, 6, kind=torch.half)]),
    "cat of channels last": lambda: torch.cat([last(2, 6, 9, 8)] * 2, 1),
    "cat of pixels": lambda: torch.cat([meta(2, 6, 1, 1)] * 2, 1),
    "sum": lambda: (IMAGE.sum(), IMAGE.sum(1), meta(3, kind=torch.int64).sum(), meta().sum()),
    "expand": lambda: (meta(3, 1).expand(2, 3, 4), meta(6).expand(2, -1), meta(1, 6).expand(1, 6)),
    "expand a part": lambda: IMAGE[:, 2:3].expand(-1, 4, -1, -1),
    "mean": lambda: IMAGE.mean((2, 3)),
    "mean, kept": lambda: IMAGE.mean((-1, 2), keepdim=True),
    "mean of all": IMAGE.mean,
    "mean of no axis": lambda: IMAGE.mean(()),
    "mean in another type": lambda: HALF.mean(0, dtype=torch.float32),
    "linear": lambda: F.linear(TOKENS, meta(7, 6), meta(7)),
    "like": lambda: (torch.zeros_like(X), torch.ones_like(X, dtype=torch.int64)),
    "like channels last": lambda: torch.empty_like(IMAGE, memory_format=torch.channels_last),
}


@pytest.mark.parametrize("name", CALLS)
def test_as_torch_says(name) -> None:
    with Compared():
        CALLS[name]()


def test_the_rules_are_met() -> None:
    """Else the comparison above would compare nothing."""
    with Compared() as mode:
        for call in CALLS.values():
            call()
    rules = "convolution native_layer_norm max_pool2d_with_indices cat mean addmm bmm add mul relu"
    assert set(rules.split()) <= mode.covered


def test_without_training_a_batch_norm_keeps_no_statistics() -> None:
    """The CPU's kernel does not; torch's rule for meta says that it does."""
    args = (None, None, torch.zeros(6), torch.ones(6), False, 0.1, 1e-5)
    real = torch.ops.aten.native_batch_norm(torch.zeros(2, 6, 9, 8), *args)
    on_meta = tuple(t.to("meta") if isinstance(t, Tensor) else t for t in args)
    ours = shortcut("native_batch_norm", None, (IMAGE, *on_meta), {})
    assert [t.shape for t in ours] == [t.shape for t in real]


GRADIENTS = "relu gelu silu sigmoid tanh hardswish hardsigmoid".split()


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_too(name) -> None:
    x = IMAGE.clone().requires_grad_()
    with Compared() as mode:
        torch.autograd.grad(getattr(F, name)(x), x, meta(*x.shape))
    assert mode.covered & {f"{name}_backward", "threshold_backward"}


@pytest.mark.parametrize("of", [F.softmax, F.log_softmax])
def test_gradients_of_a_softmax(of) -> None:
    x = X.clone().requires_grad_()
    with Compared() as mode:
        torch.autograd.grad(of(x, -1), x, meta(4, 6))
    assert any(name.endswith("softmax_backward_data") for name in mode.covered)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(reduction) -> None:
    x, labels = X.clone().requires_grad_(), meta(4, kind=torch.int64)
    with Compared() as mode:
        F.cross_entropy(x, labels, reduction=reduction).sum().backward()
    assert "nll_loss_backward" in mode.covered


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: F.conv2d(IMAGE, meta(8, 5, 3, 3)),
        lambda: F.conv2d(IMAGE, meta(8, 6, 11, 3)),
        lambda: torch.cat([IMAGE, meta(2, 6, 9, 9)], 1),
        lambda: torch.cat([X, X], 2),
        lambda: X.mean(2),
        lambda: F.max_pool2d(IMAGE, 10),
        lambda: F.layer_norm(TOKENS, (5,)),
    ],
)
def test_what_is_wrong_is_torchs_to_refuse(wrong) -> None:
    with Compared(), pytest.raises((RuntimeError, IndexError)):
        wrong()


class AsManyAsItDraws(nn.Module):
    """Computes its number of turns with tensors that are not the picture's."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        turns = torch.cat([torch.ones(1), torch.ones(1) * 2]).mean(0) * 2
        for _ in range(int(turns)):
            x = self.layer(x)
        return x


def test_values_that_a_forward_pass_computes_aside_are_computed() -> None:
    report = convarium.measure_cost(AsManyAsItDraws(), (8,))
    assert (report.macs, report.traced_on) == (3 * 64, "meta")
