"""A forward pass that writes on its own modules: counting leaves them as they were."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import convarium


class Writes(nn.Module):
    """Writes on itself in every way that modules found in the wild do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.register_buffer("mean", torch.zeros(8))
        self.plain = torch.zeros(8)
        self.calls, self.cache, self.seen = 0, {"turns": []}, []
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + self.layer(x).detach().mean(0)
        self.mean.add_(1)
        self.plain[:4].add_(1)
        self.calls += 1
        self.cache["turns"].append(x)
        self.cache[tuple(x.shape)] = x * 2
        self.seen.append(x)
        self.last = x
        self.layer.weight.data.clamp_(-0.01, 0.01)
        self.layer.register_forward_hook(lambda module, args, out: None)
        self.register_buffer("late", x.sum(0), persistent=False)
        return self.layer(x) + self.plain + self.mean


class WritesForReal(Writes):
    """Reads a value first, so that it runs on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.detach().numpy().sum() == 0 else x


def remembered(model: Writes) -> list[object]:
    tensors = [*model.parameters(), *model.buffers(), model.plain]
    return [
        list(model.state_dict()),
        [(id(t), t._version, t.tolist()) for t in tensors],
        (model.calls, model.last, len(model.cache["turns"]), len(model.cache), len(model.seen)),
        [sorted(vars(m)) for m in model.modules()],
        len(model.layer._forward_hooks),
    ]


@pytest.mark.parametrize(("kind", "way"), [(Writes, "meta"), (WritesForReal, "cpu")])
@pytest.mark.parametrize("training", [False, True])
def test_what_the_forward_pass_wrote_is_gone(kind, way, training) -> None:
    model = kind()
    before = remembered(model)
    report = convarium.measure_cost(model, (8,), training=training)
    assert (report.traced_on, report.macs) == (way, 2 * 64)
    assert remembered(model) == before
    convarium.predict_memory(model, (8,), training=training)
    assert remembered(model) == before


def test_a_hook_that_keeps_what_it_sees_on_the_model() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    model.seen = []
    model[0].register_forward_hook(lambda module, args, out: model.seen.append(out))
    for count in (convarium.measure_cost, convarium.predict_memory):
        count(model, (8,), training=True)
        assert model.seen == []


def test_values_of_a_meta_model_read_on_the_cpu_are_zeros() -> None:
    """No memory of another program: the loop below would turn at random."""

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4, device="meta")

        def forward(self, x: Tensor) -> Tensor:
            x = self.layer(x)
            while x.sum() != 0:
                x = self.layer(x)
            return x

    report = convarium.measure_cost(Loop(), (4,))
    assert (report.traced_on, report.macs) == ("cpu", 16)


def test_a_call_from_the_handler_of_an_error() -> None:
    """The module stack must not take the error that is being handled for the model's own."""
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    plain = convarium.measure_cost(model, (8,), training=True)
    try:
        raise ValueError("something else")
    except ValueError:
        assert convarium.measure_cost(model, (8,), training=True) == plain
    assert [row.output_shape for row in plain.rows] == [(1, 4), (1, 4)]
