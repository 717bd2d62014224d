"""Networks whose trace takes seconds: at most one default test counts them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest

# Their totals are checked by the networks' own tests, in tests/nets.
LONG = frozenset(
    """
    resnet101 resnet152 resnet101_v1_5 resnet152_v1_5 resnet110_cifar resnet1202_cifar
    preact_resnet110 preact_resnet164 preact_resnet1001 preact_resnet152 preact_resnet200
    resnext101_32x4d resnext101_64x4d stochastic_depth_110 stochastic_depth_152_svhn
    stochastic_depth_1202 stochastic_depth_152_imagenet fractalnet40_c4_cifar
    fractalnet_thin_c5 fractalnet_thin_c6 fractalnet34_c4_imagenet densenet121 densenet169
    densenet201 densenet264 densenet161 densenet_100_12_cifar densenet_100_24_cifar
    densenet_bc_100_12_cifar densenet_bc_250_24_cifar densenet_bc_190_40_cifar
    """.split()
)

# Of a thousand layers: even that one is slow.
DEEPEST = frozenset("resnet1202_cifar preact_resnet1001 stochastic_depth_1202".split())


def marked(names: Iterable[str], slow: Collection[str] = LONG) -> list[object]:
    """Parameters of a test, the long ones slow."""
    return [pytest.param(n, marks=pytest.mark.slow if n in slow else ()) for n in names]
