"""Initial values as Caffe's fillers draw them, for networks whose authors trained with Caffe."""

from __future__ import annotations

from math import sqrt

from torch import Tensor, nn


def xavier_(weight: Tensor) -> Tensor:
    """Fills a weight (out, in, ...) from U(-a, a) with a = sqrt(3 / fan_in); returns it.

    Caffe's "xavier" divides by the fan-in alone, so the deviation is sqrt(1 / fan_in); Glorot and
    Bengio, and torch's xavier_uniform_, take the mean of fan-in and fan-out.

    Args:
        weight: of a convolution or a linear layer, changed in place.
    """
    bound = sqrt(3 / weight[0].numel())
    return nn.init.uniform_(weight, -bound, bound)
