"""Short recipes: minutes on two cores, not the paper's. One row a network of the default races.

Tuned by benchmarks/tune_short_recipes.py on a part of the training split;
docs/decisions/0001-short-recipes.md has the figures.
"""

from __future__ import annotations

from typing import NamedTuple

from convarium import catalog
from convarium.errors import unknown_name
from convarium.recipes.model import Recipe

BATCH = 32


class _Row(NamedTuple):
    """One network's numbers: rate at its highest, warm-up in epochs, shift in pixels each way."""

    network: str
    epochs: int
    lr: float
    warmup: float
    shift_px: int
    has_norm: bool


_SMALL = (
    _Row("lenet5", 20, 0.005, 1, 1, True),
    _Row("nin_cifar10", 5, 0.05, 1, 1, False),
    _Row("vgg_a_32px", 3, 0.02, 1, 1, False),
    _Row("googlenet_32px", 4, 0.06, 1, 1, False),
    _Row("plain20_cifar", 6, 0.1, 1, 1, True),
    _Row("resnet20_cifar", 6, 0.1, 1, 1, True),
    _Row("densenet_40_12_cifar", 2, 0.1, 0.5, 1, True),
    _Row("squeezenet_32px", 8, 0.05, 1, 1, False),
    _Row("mobilenet_v1_050_32px", 6, 0.1, 1, 1, True),
)
_PHOTOGRAPHS = (
    _Row("squeezenet1_1", 10, 0.01, 1, 0, False),
    _Row("mobilenet_v1_050_160", 10, 0.05, 1, 0, True),
    _Row("resnet18_b", 10, 0.05, 1, 0, True),
    _Row("googlenet", 10, 0.01, 1, 0, False),
)
# Families whose networks have no batch norm: the paper's initialisation needs the paper's epochs.
_WITHOUT_NORM = frozenset("lenet alexnet zfnet nin vgg googlenet squeezenet".split())
_OURS = "unstated: our choice because "
_UNUSED = """
    iterations optimizer decay_on max_filter_rms loss init_from options average short_side area
    aspect pca_sigma jitter normalise validation detection
""".split()
_SOURCES = {
    "epochs": _OURS + "the whole race is to end within minutes on two cores",
    "lr": _OURS + "best on a validation part of the training split (decision 0001)",
    "batch": _OURS + "short runs need many steps (decision 0001)",
    "momentum": "0.9 in nearly every paper of the ledger (AlexNet section 5, ResNet section 3.4)",
    "nesterov": "Wide ResNet section 3, DenseNet section 4.2",
    "weight_decay": "AlexNet section 5, VGG section 3.1, Wide ResNet section 3: 5e-4",
    "warmup": "ResNet section 4.2 warms up its 110-layer network; length our choice",
    "schedule": "SqueezeNet's released solver and DeepLab: polynomial of power 1; end at 0",
    "shift_px": _OURS + "ResNet section 4.2 shifts CIFAR by 4 px over many more epochs",
    "mirror": "AlexNet section 4.1 for photographs; digits have a left and a right",
    "crop": "AlexNet section 4.1: a random 224 window of 256 pixels",
    "clip": _OURS + "without batch norm the first steps at this rate would diverge",
    "aux_weight": "GoogLeNet section 5: 0.3",
    "border": _OURS + "a repeated border looks like paper; ResNet section 4.2 pads with zeros",
    **dict.fromkeys(_UNUSED, _OURS + "a short run leaves it out"),
}
_INIT_SOURCES = {
    "paper": "the network's paper",
    "unit_variance": "Salimans & Kingma 2016 (arXiv 1602.07868), section 3: each map, from data",
}


def recipe_for(network: str, kind: str) -> Recipe:
    """The short recipe of a network on "small" pictures or "photographs".

    A network without a row of its own gets the default of the kind: 6 epochs (10 on photographs);
    rate 0.1 (0.05) where it has batch norm, else 0.02 (0.01) with unit-variance initialisation
    and gradients clipped at 1.

    Raises:
        UsageError: no such network or kind.

    >>> recipe_for("resnet20_cifar", "small").epochs
    6
    """
    if kind not in SHORT:
        raise unknown_name("kind of data", kind, SHORT)
    row = catalog.find(network)
    if row.name in SHORT[kind]:
        return SHORT[kind][row.name]
    return _default(row.name, row.family not in _WITHOUT_NORM, kind)


def _default(name: str, has_norm: bool, kind: str) -> Recipe:
    if kind == "small":
        return _recipe(kind, _Row(name, 6, 0.1 if has_norm else 0.02, 1, 1, has_norm))
    return _recipe(kind, _Row(name, 10, 0.05 if has_norm else 0.01, 1, 0, has_norm))


def _recipe(kind: str, row: _Row) -> Recipe:
    init = "paper" if row.has_norm else "unit_variance"
    return Recipe(
        name=f"{row.network}, short, {kind}",
        epochs=row.epochs,
        batch=BATCH,
        lr=row.lr,
        warmup=f"{row.warmup:g} epochs from 0",
        shift_px=row.shift_px,
        mirror=kind == "photographs",
        crop=kind == "photographs",
        clip=None if row.has_norm else 1.0,
        init=init,
        sources={**_SOURCES, "init": _INIT_SOURCES[init], "name": "ours"},
    )


SHORT: dict[str, dict[str, Recipe]] = {
    kind: {row.network: _recipe(kind, row) for row in rows}
    for kind, rows in (("small", _SMALL), ("photographs", _PHOTOGRAPHS))
}
