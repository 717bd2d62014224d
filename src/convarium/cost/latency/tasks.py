"""A call as something that can be run and timed, with the caches as a network leaves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convarium.cost.latency.calls import Call
from convarium.machine import Plan


@dataclass(slots=True)
class Task:
    """A layer and its inputs. `fresh` writes the inputs, as the layer before would have."""

    layer: nn.Module
    inputs: list[Tensor]

    def fresh(self) -> None:
        """Leaves the inputs in cache, as far as they fit, and pushes older values out."""
        for x in self.inputs:
            x.fill_(0.5)

    def run(self) -> None:
        """The timed call."""
        self.layer(*self.inputs)


class _Does(nn.Module):
    """A function as a leaf: networks pay for the module around it too."""

    def __init__(self, does: Callable[..., Tensor]) -> None:
        super().__init__()
        self._does = does

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._does(*inputs)


def task_of(call: Call, plan: Plan) -> Task:
    """The call as a task under `plan`: layer and inputs are placed, not yet run."""
    layer, inputs = _MAKE[call.kind](call)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.fill_(0.01)
    placed = [plan.move(x) if x.dim() == 4 else x.to(plan.device) for x in inputs]
    return Task(plan.place(layer).eval(), placed)


Made = tuple[nn.Module, list[Tensor]]


def _conv(call: Call) -> Made:
    kernel = (call["kh"], call["kw"])
    padding = tuple(call["dilation"] * (k - 1) // 2 for k in kernel)
    layer = nn.utils.skip_init(
        nn.Conv2d,
        call["c"],
        call["out"],
        kernel,
        stride=call["stride"],
        padding=padding,
        dilation=call["dilation"],
        groups=call["groups"],
        bias=False,
    )
    return layer, [torch.empty(call["n"], call["c"], call["h"], call["w"])]


def _linear(call: Call) -> Made:
    layer = nn.utils.skip_init(nn.Linear, call["inputs"], call["outputs"])
    return layer, [torch.empty(call["rows"], call["inputs"])]


def _product(call: Call) -> Made:
    n, rows, inner, columns = call.sizes
    return _Does(torch.bmm), [torch.empty(n, rows, inner), torch.empty(n, inner, columns)]


def _norm(call: Call) -> Made:
    return nn.BatchNorm2d(call["c"]), [torch.empty(call["n"], call["c"], call["pixels"], 1)]


def _flat(does: Callable[..., Tensor], inputs: int = 1) -> Callable[[Call], Made]:
    return lambda call: (_Does(does), [torch.empty(call["elements"]) for _ in range(inputs)])


def _join(call: Call) -> Made:
    parts, elements = call.sizes
    pieces = [torch.empty(1, max(1, elements // parts)) for _ in range(parts)]
    return _Does(lambda *inputs: torch.cat(inputs, 1)), pieces


def _copy(call: Call) -> Made:
    """Two groups of channels change places with their members, as in a shuffle."""
    elements = max(2, call["elements"])
    pixels = max(1, min(784, elements // 32))
    x = torch.empty(2, max(1, elements // pixels // 2), pixels)
    return _Does(lambda x: x.transpose(0, 1).contiguous()), [x]


def _pool(kind: type[nn.Module]) -> Callable[[Call], Made]:
    def make(call: Call) -> Made:
        k = call["kernel"]
        layer = kind(k, call["stride"], padding=(k - 1) // 2)
        return layer, [torch.empty(call["n"], call["c"], call["h"], call["w"])]

    return make


def _mean_window(call: Call) -> Made:
    channels = max(1, call["elements"] // 784)
    x = torch.empty(1, 1, channels + call["window"] - 1, 28, 28)
    return nn.AvgPool3d((call["window"], 1, 1), stride=1), [x]


def _mean(call: Call) -> Made:
    return _Does(lambda x: x.mean(-1)), [torch.empty(call["kept"], call["summed"])]


_MAKE: dict[str, Callable[[Call], Made]] = {
    **{"conv": _conv, "linear": _linear, "product": _product, "norm": _norm, "mean": _mean},
    "mean_window": _mean_window,
    "map": _flat(torch.relu),
    "map_in_place": _flat(torch.relu_),
    "curve": _flat(lambda x: x.pow(0.75)),
    "sum": _flat(torch.add, 2),
    "sum_in_place": _flat(lambda x, y: x.add_(y), 2),
    "join": _join,
    "copy": _copy,
    "max_pool": _pool(nn.MaxPool2d),
    "mean_pool": _pool(nn.AvgPool2d),
    "view": lambda call: (nn.Flatten(), [torch.empty(1, 8, 1)]),
}
