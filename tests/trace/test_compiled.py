"""Networks and callers of torch.compile: a count compiles nothing and leaves it as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch._dynamo
from torch import Tensor, nn
from torch._dynamo import eval_frame

import convarium
from convarium.errors import InputError

# 3 -> 4 maps by 3 x 3 on 8 x 8 pixels without borders.
MACS = 4 * 3 * 9 * 6 * 6


@pytest.mark.parametrize("fails", [False, True])
def test_the_stance_is_put_back(fails) -> None:
    met = []

    class Watch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            met.append(eval_frame._stance.stance)
            if fails:
                raise ValueError("not today")
            return x

    with torch.compiler.set_stance("eager_on_recompile"):
        if fails:
            with pytest.raises(InputError, match="not today"):
                convarium.measure_cost(Watch(), (3, 8, 8))
        else:
            convarium.measure_cost(Watch(), (3, 8, 8))
        assert eval_frame._stance.stance == "eager_on_recompile"
    assert set(met) == {"force_eager"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Using `torch.compile", "ignore:Dynamo does not know")
def test_compiled_code_is_counted_and_counts() -> None:
    graphs = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    plain, picture = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.rand(1, 3, 8, 8)
    model = torch.compile(plain, backend=backend)
    before = model(picture)
    assert len(graphs) == 1
    assert convarium.measure_cost(model, (3, 8, 8)).macs == MACS
    assert torch.equal(model(picture), before)
    assert len(graphs) == 1  # what was compiled serves on

    @torch.compile(backend=backend)
    def caller(x: Tensor) -> Tensor:
        return x + convarium.measure_cost(plain, (3, 8, 8)).macs

    assert caller(torch.zeros(1)).item() == MACS
