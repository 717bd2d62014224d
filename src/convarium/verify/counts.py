"""What can be counted on a network, by the word that the printed facts use for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import prod

from convarium.facts.printed import PrintedFact
from convarium.verify.network import Layer, Network, build

_WEIGHTED = ("conv", "linear")
_RESIZED, _CROPPED = 256, 224  # AlexNet sec. 4.1: crops of 224 out of 256

SELECTORS: dict[str, Callable[[Layer], bool]] = {
    "conv": lambda x: x.kind == "conv",
    "linear": lambda x: x.kind == "linear",
    "pointwise": lambda x: x.kind == "conv" and x.kernel == 1,
    "depthwise": lambda x: x.kind == "conv" and x.groups == x.inputs > 1,
    "standard": lambda x: x.kind == "conv" and x.kernel != 1 and x.groups == 1,
    "norm": lambda x: x.kind == "norm",
}


def count(net: Network, printed: PrintedFact) -> float | None:
    """Our counterpart of a printed number, in its unit; None when no layer is meant by it.

    Args:
        net: the traced network.
        printed: says what to count, over which layers, and against which other network.
    """
    layers = net.select(printed.rows)
    if printed.select is not None:
        layers = [x for x in layers if SELECTORS[printed.select](x)]
    if not layers:
        return None
    counted = COUNTS[printed.count](net, layers, printed)
    return None if counted is None else counted / printed.divide


def _sum(what: str) -> Callable[[Network, list[Layer], PrintedFact], float]:
    return lambda net, layers, printed: sum(getattr(x, what) for x in layers)


def _percent(what: str) -> Callable[[Network, list[Layer], PrintedFact], float]:
    """The layers' share of the whole network, in percent."""

    def share(net: Network, layers: list[Layer], printed: PrintedFact) -> float:
        whole = sum(getattr(x, what) for x in net.layers)
        return 100 * sum(getattr(x, what) for x in layers) / whole

    return share


def _times(what: str) -> Callable[[Network, list[Layer], PrintedFact], float]:
    """How many times more the network `to` has."""

    def times(net: Network, layers: list[Layer], printed: PrintedFact) -> float:
        other = build(printed.to or net.name)
        return sum(getattr(x, what) for x in other.layers) / sum(
            getattr(x, what) for x in net.layers
        )

    return times


def _without_norms(net: Network, layers: list[Layer], printed: PrintedFact) -> float:
    return sum(x.params for x in layers if x.kind != "norm")


def _connections(net: Network, layers: list[Layer], printed: PrintedFact) -> float:
    """Multiply-adds and biases; a sub-sampling unit has its four inputs and a bias."""
    return sum(_layer_connections(x) for x in layers)


def _layer_connections(layer: Layer) -> int:
    if layer.kind == "subsample":
        return prod(layer.output) * (2 * 2 + 1)
    if layer.kind == "rbf":
        return prod(layer.output) * 84
    return layer.macs + prod(layer.output) if layer.kind in _WEIGHTED else 0


def _neurons(net: Network, layers: list[Layer], printed: PrintedFact) -> float:
    return sum(prod(x.output) for x in layers if x.kind in _WEIGHTED)


def _activations(net: Network, layers: list[Layer], printed: PrintedFact) -> float:
    """Values of the input and of every convolution, pool and linear layer."""
    kinds = (*_WEIGHTED, "max_pool", "avg_pool", "global_avg_pool")
    return prod(net.input) + sum(prod(x.output) for x in layers if x.kind in kinds)


def _field(net: Network, layers: list[Layer], printed: PrintedFact) -> float | None:
    """Side of the last layer's receptive field on the output of layer `over`, or on the input."""
    field = layers[-1].field
    if printed.over is None or field is None:
        return field
    below = net.select(printed.over)[-1]
    assert below.field is not None
    assert below.step is not None
    return 1 + (field - below.field) / below.step


def _crops(net: Network, layers: list[Layer], printed: PrintedFact) -> float:
    return 2 * (_RESIZED - _CROPPED + 1) ** 2


def _largest_share(net: Network, layers: list[Layer], printed: PrintedFact) -> float:
    by_name: Counter[str] = Counter()  # a layer that two towers share is one layer
    for x in layers:
        by_name[x.name.split(".")[-1]] += x.params
    return 100 * max(by_name.values()) / sum(x.params for x in net.layers)


def _number(kinds: Iterable[str]) -> Callable[[Network, list[Layer], PrintedFact], float]:
    return lambda net, layers, printed: sum(x.kind in kinds for x in layers)


COUNTS: dict[str, Callable[[Network, list[Layer], PrintedFact], float | None]] = {
    "params": _sum("params"),
    "params_without_norms": _without_norms,
    "weights": _sum("weights"),
    "macs": _sum("macs"),
    "flops": lambda net, layers, printed: 2 * sum(x.macs for x in layers),
    "share_of_params": _percent("params"),
    "share_of_weights": _percent("weights"),
    "share_of_macs": _percent("macs"),
    "largest_share_of_params": _largest_share,
    "times_fewer_params": _times("params"),
    "times_fewer_macs": _times("macs"),
    "bytes": lambda net, layers, printed: 4 * sum(x.params for x in layers),
    "depth": lambda net, layers, printed: net.depth,
    "conv_depth": lambda net, layers, printed: net.conv_depth,
    "convolutions": _number(("conv",)),
    "weight_layers": _number(_WEIGHTED),
    "neurons": _neurons,
    "activations": _activations,
    "connections": _connections,
    "width": lambda net, layers, printed: layers[-1].output[0],
    "side": lambda net, layers, printed: layers[-1].output[-1],
    "input_side": lambda net, layers, printed: net.input[-1],
    "input_values": lambda net, layers, printed: prod(net.input),
    "receptive_field": _field,
    "expected_blocks": lambda net, layers, printed: net.survival,
    "distinct_crops": _crops,
}
