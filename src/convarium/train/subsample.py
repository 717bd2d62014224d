"""Option A's sub-sampling in the layout of the rest of the network.

The backward pass of a slice is laid out contiguously, whatever the network's layout; what then
adds it to another gradient, and the ReLU behind, mix two layouts and take ten times as long. An
average pool over single pixels gives the same numbers both ways and keeps the layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch.nn.functional as F
from torch import nn

from convarium.blocks.shortcut import Subsample
from convarium.machine import Plan


@contextmanager
def pooled_subsampling(model: nn.Module, plan: Plan) -> Iterator[None]:
    """Within, option A's shortcuts of `model` pool single pixels, where that is faster."""
    # Asked first: the walk over the modules would be of every step.
    modules = model.modules() if plan.layout == "channels_last" else ()
    layers = [layer for layer in modules if isinstance(layer, Subsample)]
    try:
        for layer in layers:
            pool = partial(F.avg_pool2d, kernel_size=1, stride=layer.stride)
            layer.__dict__["forward"] = pool
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)
