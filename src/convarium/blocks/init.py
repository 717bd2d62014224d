"""First values of convolutions and linear layers, as papers and authors' configurations say."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from torch import nn


def weight_layers(module: nn.Module) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    """Each convolution and linear layer of `module` with the last word of its name, in order."""
    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            yield name.rpartition(".")[2], layer


def gaussian(layer: nn.Conv2d | nn.Linear, std: float, *, bias: float = 0.0) -> None:
    """Weights from N(0, std^2), biases constant."""
    nn.init.normal_(layer.weight, std=std)
    _constant_bias(layer, bias)


def caffe_xavier(layer: nn.Conv2d | nn.Linear, *, bias: float = 0.0) -> None:
    """Weights uniform in +-sqrt(3 / fan_in), Caffe's "xavier" filler; biases constant.

    Variance 1 / fan_in: torch's xavier_uniform_ divides by the mean of both fans instead.
    """
    bound = sqrt(3 / layer.weight[0].numel())
    nn.init.uniform_(layer.weight, -bound, bound)
    _constant_bias(layer, bias)


def he(layer: nn.Conv2d | nn.Linear) -> None:
    """Weights from N(0, 2 / fan_in), biases 0: He et al. 2015 (arXiv 1502.01852), section 2.2."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    _constant_bias(layer, 0.0)


def _constant_bias(layer: nn.Conv2d | nn.Linear, value: float) -> None:
    if layer.bias is not None:
        nn.init.constant_(layer.bias, value)
