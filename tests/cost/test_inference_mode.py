"""Networks in, or called from, torch's inference mode, and graphs of torch.export."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convarium
from convarium.errors import InputError


class Answers(nn.Module):
    """Runs a module, or a function, in inference mode, as wrappers for serving do."""

    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)
    )


MACS = 36 * 4 * 27 + 144 * 5  # of `net` on 3 x 8 x 8
CASES = [
    ("net", net(), (3, 8, 8), MACS),
    ("transposed", nn.ConvTranspose2d(3, 4, 3), (3, 8, 8), 64 * 3 * 4 * 9),
    ("lstm", nn.LSTM(3, 5, batch_first=True), (6, 3), 4 * 6 * (15 + 25)),
    ("attention", lambda x: F.scaled_dot_product_attention(x, x, x), (2, 5, 4), 2 * 2 * 25 * 4),
    ("einsum", lambda x: torch.einsum("bij,bkj->bik", x, x), (5, 6), 5 * 5 * 6),
    (
        "encoder",
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        (5, 8),
        4 * 5 * 64 + 2 * 25 * 8 + 2 * 5 * 8 * 16,
    ),
]


@pytest.mark.parametrize(
    ("inner", "size", "macs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_forward_pass_in_inference_mode(inner, size, macs) -> None:
    """torch hands linear or conv2d over whole there: it must be taken apart."""
    report = convarium.measure_cost(Answers(inner), size)
    assert (report.macs, report.status) == (macs, "exact")


def test_peak_of_a_forward_pass_in_inference_mode() -> None:
    plain = convarium.predict_memory(net(), (3, 8, 8), training=False)
    assert convarium.predict_memory(Answers(net()), (3, 8, 8), training=False).peak_bytes == (
        plain.peak_bytes
    )


def test_a_caller_in_inference_mode() -> None:
    """The picture needs no gradient: the convolution's weight alone gets one."""
    model = net()
    with torch.inference_mode():
        report = convarium.measure_cost(model, (3, 8, 8), training=True)
        peak = convarium.predict_memory(model, (3, 8, 8)).peak_bytes
    assert (report.macs, report.macs_backward) == (MACS, 36 * 108 + 2 * 720)
    assert peak == convarium.predict_memory(model, (3, 8, 8)).peak_bytes


def test_a_graph_of_torch_export() -> None:
    """It refuses train() and eval(); alone, and as a part of a network."""
    exported = torch.export.export(net().eval(), (torch.zeros(1, 3, 8, 8),)).module()
    for model, more in ((exported, 0), (nn.Sequential(exported, nn.Linear(5, 2)), 10)):
        modes = [module.training for module in model.modules()]
        report = convarium.measure_cost(model, (3, 8, 8), training=True)
        assert (report.macs, report.status) == (MACS + more, "exact")
        assert convarium.predict_memory(model, (3, 8, 8)).peak_bytes > 0
        assert [module.training for module in model.modules()] == modes


def test_operators_over_functions_are_refused_in_one_sentence() -> None:
    class Chooses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))

    with pytest.raises(InputError, match="it calls torch's cond, an operator over functions"):
        convarium.measure_cost(Chooses(), (8,))
