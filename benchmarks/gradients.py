"""Where gradients vanish: their norm by stage over the first steps, side by side.

python benchmarks/gradients.py [depth|sigmoid|heads] [--data digits] [--steps 11] [--out DIR]

depth: the 56-layer plain network and ResNet. sigmoid: eight convolutions with sigmoids and with
ReLUs between, the same initial values. heads: GoogLeNet with its auxiliary heads' loss and without
it. With --out and some --epochs, the charts over the epochs are written there as SVG.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import convarium
from convarium.data import Dataset, load_dataset
from convarium.machine import Plan
from convarium.recipes import Recipe
from convarium.records.model import EpochPoint
from convarium.report.series import gradient_lines
from convarium.train import EpochDone, fit

Maker = Callable[[Dataset], nn.Module]
RECIPE = Recipe("first steps", epochs=3, batch=32, lr=0.01, warmup="none", schedule="constant")


def catalogued(name: str) -> Maker:
    """A network of the catalog for the data's classes and channels."""

    def make(data: Dataset) -> nn.Module:
        classes, channels = len(data.classes), data.channels
        return convarium.create_model(name, num_classes=classes, in_channels=channels)

    return make


def eight_convolutions(activation: type[nn.Module]) -> Maker:
    """Eight 3x3 convolutions of 16 maps, each with the activation behind, and a classifier."""

    def make(data: Dataset) -> nn.Module:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = data.channels
        for number in range(1, 9):
            layers[f"conv{number}"] = nn.Conv2d(channels, 16, 3, padding=1)
            layers[f"act{number}"] = activation()
            channels = 16
        layers["pool"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(16, len(data.classes))
        for layer in layers.values():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        return nn.Sequential(layers)

    return make


EXPERIMENTS: dict[str, tuple[int, dict[str, tuple[Maker, Recipe]]]] = {
    "depth": (
        32,
        {name: (catalogued(name), RECIPE) for name in ("plain56_cifar", "resnet56_cifar")},
    ),
    "sigmoid": (
        32,
        {kind.__name__: (eight_convolutions(kind), RECIPE) for kind in (nn.Sigmoid, nn.ReLU)},
    ),
    "heads": (
        224,
        {
            f"auxiliary weight {weight:g}": (
                catalogued("googlenet_aux"),
                replace(RECIPE, batch=4, aux_weight=weight),
            )
            for weight in (0.3, 0.0)
        },
    ),
}


def norms_of(make: Maker, data: Dataset, recipe: Recipe, steps: int) -> list[EpochPoint]:
    """Trains on `steps` batches an epoch and gives each epoch's mean norms."""
    torch.manual_seed(0)
    model = make(data)
    few = replace(data, train=data.train.subset(range(min(len(data.train), steps * recipe.batch))))
    plan = Plan(torch.get_num_threads())
    return [
        EpochPoint(e.epoch, e.loss, e.train_top1, e.seconds, e.error, e.lr, e.grad_norms)
        for e in fit(model, few, recipe, seed=0, plan=plan)
        if isinstance(e, EpochDone)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", nargs="?", choices=EXPERIMENTS, default="sigmoid")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--steps", type=int, default=11, help="batches an epoch")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for the charts as SVG")
    given = parser.parse_args()
    side, contestants = EXPERIMENTS[given.experiment]
    data = load_dataset(given.data, side=side)
    curves = {
        name: norms_of(make, data, replace(recipe, epochs=given.epochs), given.steps)
        for name, (make, recipe) in contestants.items()
    }
    print(f"{'norm of the gradient':<20}" + "".join(f"{name:>22}" for name in curves))
    for stage in next(iter(curves.values()))[-1].grad_norms:
        norms = [curve[-1].grad_norms[stage] for curve in curves.values()]
        print(f"{stage:<20}" + "".join(f"{norm:>22.3g}" for norm in norms))
    for name, curve in curves.items() if given.out else ():
        lines = gradient_lines(curve)
        assert lines is not None
        given.out.mkdir(parents=True, exist_ok=True)
        place = given.out / f"{given.experiment}-{name.replace(' ', '-')}.svg"
        place.write_text(lines.drawing.svg_alone(), encoding="utf-8")


if __name__ == "__main__":
    main()
