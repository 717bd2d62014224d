"""Short recipes: minutes on two cores, not the paper's. One row a network of the default races.

Tuned by benchmarks/tune_short_recipes.py on a part of the training split;
docs/decisions/0001-short-recipes.md has the figures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from convarium import catalog
from convarium.errors import unknown_name
from convarium.facts import model_facts
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
    _Row("lenet5", 14, 0.005, 1, 1, True),
    _Row("nin_cifar10", 5, 0.05, 1, 1, False),
    _Row("vgg_a_32px", 2, 0.02, 1, 1, False),
    _Row("googlenet_32px", 4, 0.06, 1, 1, False),
    _Row("plain20_cifar", 5, 0.1, 1, 1, True),
    _Row("resnet20_cifar", 5, 0.1, 1, 1, True),
    _Row("densenet_40_12_cifar", 2, 0.1, 0.5, 1, True),
    _Row("squeezenet_32px", 7, 0.05, 2, 1, False),
    _Row("mobilenet_v1_050_32px", 5, 0.1, 1, 1, True),
)
_PHOTOGRAPHS = (
    _Row("squeezenet1_1", 10, 0.01, 1, 0, False),
    _Row("mobilenet_v1_050_160", 10, 0.05, 1, 0, True),
    _Row("resnet18_b", 10, 0.05, 1, 0, True),
    _Row("googlenet", 10, 0.01, 1, 0, False),
)
SMALL_PX = 64  # longer sides up to here are small, as in convarium.data
LARGE = (
    10_000  # training pictures; above it the rows below apply, which see each picture less often
)


class _Large(NamedTuple):
    """Numbers for more pictures: batch, and the views that many epochs over few do not need."""

    epochs: int
    batch: int
    lr: float
    shift_px: int = 4
    border: str = "zero"
    mirror: bool = False


_LARGE: dict[tuple[str, str], _Large] = {
    ("lenet5", "small"): _Large(9, 64, 0.01, shift_px=1),
    ("resnet20_cifar", "small"): _Large(14, 128, 0.2, mirror=True),
}
# Families whose networks have no batch norm: the paper's initialisation needs the paper's epochs.
_WITHOUT_NORM = frozenset("lenet alexnet zfnet nin vgg googlenet squeezenet".split())
_OURS = "unstated: our choice because "
_UNUSED = """
    iterations optimizer decay_on max_filter_rms loss init_from init_convolutions options average
    short_side area aspect pca_sigma jitter normalise validation tested detection
""".split()
_LEFT_OUT = _OURS + "a short run leaves it out"
_SOURCES = {
    "epochs": _OURS + "the whole race is to end within minutes on two cores",
    "lr": _OURS + "best on a validation part of the training split (decision 0001)",
    "batch": _OURS + "short runs need many steps (decision 0001)",
    "momentum": "0.9 in nearly every paper of the ledger (AlexNet section 5, ResNet section 3.4)",
    "nesterov": "Wide ResNet section 3, DenseNet section 4.2",
    "weight_decay": "AlexNet section 5, VGG section 3.1, Wide ResNet section 3: 5e-4",
    "warmup": "ResNet section 4.2 warms up its 110-layer network; length our choice",
    "schedule": "SqueezeNet's released solver: polynomial of power 1, to 0",
    "shift_px": _OURS + "ResNet section 4.2 shifts CIFAR by 4 px over many more epochs",
    "mirror": "AlexNet section 4.1 for photographs; digits have a left and a right",
    "crop": "AlexNet section 4.1: a random 224 window of 256 pixels",
    "clip": _OURS + "without batch norm the first steps at this rate would diverge",
    "aux_weight": "GoogLeNet section 5: 0.3",
    "border": _OURS + "a repeated border looks like paper; ResNet section 4.2 pads with zeros",
    **dict.fromkeys(_UNUSED, _LEFT_OUT),
}
_INIT_SOURCES = {
    "paper": "the network's paper",
    "unit_variance": "Salimans & Kingma 2016 (arXiv 1602.07868), section 3: each map, from data",
}


def recipe_for(network: str, kind: str, train_size: int | None = None) -> Recipe:
    """The short recipe of a network on "small" pictures or "photographs".

    A network without a row of its own gets the default of the kind: 6 epochs (10 on photographs);
    rate 0.1 (0.05) where it has batch norm, else 0.02 (0.01) with unit-variance initialisation
    and gradients clipped at 1. Above 10,000 training pictures: half the epochs in batches of 128 at
    twice the rate (64 at the same rate without batch norm), small pictures shifted by 4 pixels.

    Raises:
        UsageError: no such network or kind.

    >>> recipe_for("resnet20_cifar", "small").epochs
    5
    """
    if kind not in SHORT:
        raise unknown_name("kind of data", kind, SHORT)
    row = catalog.find(network)
    if train_size is not None and train_size > LARGE:
        return _large(row.name, kind, row.family not in _WITHOUT_NORM)
    if row.name in SHORT[kind]:
        return SHORT[kind][row.name]
    return _default(row.name, row.family not in _WITHOUT_NORM, kind)


def short_named(words: str) -> Recipe | None:
    """The short recipe that a run calls so: NETWORK, short[, KIND[, large]]; None for other words.

    Without a kind it is that of the pictures which the network takes.

    Raises:
        UsageError: no such network or kind.

    >>> short_named("resnet20_cifar, short, small, large").batch
    128
    """
    network, *rest = (word.strip() for word in words.split(","))
    if rest[:1] != ["short"] or rest[2:] not in ([], ["large"]):
        return None
    kind = rest[1] if rest[1:] else ("small" if _side(network) <= SMALL_PX else "photographs")
    return recipe_for(network, kind, LARGE + 1 if rest[2:] else None)


def _side(network: str) -> int:
    return model_facts(catalog.find(network).name).input[1]


def _default(name: str, has_norm: bool, kind: str) -> Recipe:
    if kind == "small":
        return _recipe(kind, _Row(name, 6, 0.1 if has_norm else 0.02, 1, 1, has_norm))
    return _recipe(kind, _Row(name, 10, 0.05 if has_norm else 0.01, 1, 0, has_norm))


def _large(name: str, kind: str, has_norm: bool) -> Recipe:
    small = SHORT[kind].get(name) or _default(name, has_norm, kind)
    row = _LARGE.get((name, kind))
    if row is None:
        epochs = max(2, ((small.epochs or 2) + 1) // 2)
        batch, lr = (128, 2 * small.lr) if has_norm else (64, small.lr)
        row = _Large(epochs, batch, lr, 0 if kind == "photographs" else 4, mirror=small.mirror)
    sources = {
        "epochs": _OURS + "minutes to an hour on two cores",
        "batch": _OURS + "many pictures give many steps; the papers' CIFAR batches are 64 to 128",
        "lr": _OURS + "it grows with the batch",
        "shift_px": "ResNet section 4.2: CIFAR shifted by 4 px; digits are centred as they are",
        "border": "ResNet section 4.2: zeros",
        "mirror": "ResNet section 4.2 for objects; digits have a left and a right",
    }
    return replace(
        small,
        name=f"{name}, short, {kind}, large",
        **row._asdict(),
        sources={**small.sources, **sources},
    )


def _recipe(kind: str, row: _Row) -> Recipe:
    init = "paper" if row.has_norm else "unit_variance"
    photographs = kind == "photographs"
    off = ("clip" if row.has_norm else "", "" if photographs else "crop")
    sources = _SOURCES | {field: _LEFT_OUT for field in off if field}
    return Recipe(
        name=f"{row.network}, short, {kind}",
        epochs=row.epochs,
        batch=BATCH,
        lr=row.lr,
        warmup=f"{row.warmup:g} epochs from 0",
        shift_px=row.shift_px,
        mirror=photographs,
        crop=photographs,
        clip=None if row.has_norm else 1.0,
        init=init,
        sources={**sources, "init": _INIT_SOURCES[init], "name": "ours"},
    )


SHORT: dict[str, dict[str, Recipe]] = {
    kind: {row.network: _recipe(kind, row) for row in rows}
    for kind, rows in (("small", _SMALL), ("photographs", _PHOTOGRAPHS))
}
