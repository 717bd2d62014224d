"""Networks that read values, built without any: their products are those of zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import convarium


class Reads(nn.Module):
    """As many turns as a value says: of zeros, two."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.layer = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).mean((2, 3))
        for _ in range(2 + int(self.layer(x).abs().max())):
            x = self.layer(x)
        return x


class Writes(nn.Module):
    """Fills its weight with ones before it is used: four of them add up to the turns."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.layer.weight.fill_(1)
        for _ in range(int(self.layer(torch.ones_like(x)).max())):
            x = self.layer(x)
        return x


def test_no_values_cost_as_zeros_do() -> None:
    with torch.device("meta"):
        empty = Reads()
    zeros = Reads()
    for value in zeros.parameters():
        nn.init.zeros_(value)
    reports = [convarium.measure_cost(model, (3, 8, 8)) for model in (empty, zeros)]
    assert reports[0] == reports[1]
    assert (reports[0].macs, reports[0].traced_on) == (36 * 4 * 27 + 3 * 16, "cpu")


def test_a_weight_that_the_forward_pass_fills_has_values() -> None:
    with torch.device("meta"):
        model = Writes()
    assert convarium.measure_cost(model, (4,)).macs == 16 + 4 * 16
