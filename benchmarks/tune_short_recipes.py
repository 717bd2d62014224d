"""Tries values of the short recipes on a validation part of the digits' training split.

The test split is not touched. One line a try: network, changed fields, validation answers right,
training seconds. Example:

    python benchmarks/tune_short_recipes.py lenet5 nin_cifar10 --lr 0.01 0.02 0.05 --seeds 0 1
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import replace

import torch

from convarium.api import create_model
from convarium.data import Dataset, carve, load_dataset
from convarium.errors import ConvariumError
from convarium.evaluate import evaluate
from convarium.machine import Plan, known_device
from convarium.recipes import Recipe, recipe_for
from convarium.train import EpochDone, fit


def main() -> None:
    """Runs every combination of the given values for every given network."""
    options = _options()
    digits = load_dataset("digits")
    train, validation = carve(digits.train)
    digits = replace(digits, train=train, test=validation)
    chosen = (options.threads, options.layout, options.precision, "the command line")
    plan = Plan(*chosen, known_device(options.device))
    print(f"{len(train)} to train on, {len(validation)} to validate on; {plan}")
    for network in options.networks:
        for recipe in _variants(recipe_for(network, "small"), options):
            for seed in options.seeds:
                print(_try(network, digits, recipe, plan, seed), flush=True)


def _variants(recipe: Recipe, options: argparse.Namespace) -> Iterator[Recipe]:
    grid = {
        "epochs": options.epochs,
        "lr": options.lr,
        "batch": options.batch,
        "warmup": [f"{epochs:g} epochs from 0" for epochs in options.warmup],
        "shift_px": options.shift,
        "clip": options.clip,
        "init": options.init,
    }
    given = {name: values for name, values in grid.items() if values}
    for values in itertools.product(*given.values()):
        yield replace(recipe, **dict(zip(given, values, strict=True)))


def _try(network: str, digits: Dataset, recipe: Recipe, plan: Plan, seed: int) -> str:
    torch.manual_seed(seed)
    model = create_model(network, num_classes=10, in_channels=1)
    shown = (
        f"{network} epochs {recipe.epochs} lr {recipe.lr:g} batch {recipe.batch} "
        f"warmup {recipe.warmup} shift {recipe.shift_px} clip {recipe.clip} init {recipe.init} "
        f"seed {seed}:"
    )
    losses, seconds = [], 0.0
    try:
        for event in fit(model, digits, recipe, seed=seed, plan=plan):
            if isinstance(event, EpochDone):
                losses.append(f"{event.loss:.3f}")
                seconds = event.seconds
    except ConvariumError as error:
        return f"{shown} {error}"
    result = evaluate(model, digits.test, prepare=digits.prepare, plan=plan)
    share = 100 * result.top1_correct / result.total
    right = f"{result.top1_correct} of {result.total} ({share:.2f} %)"
    return f"{shown} {right}, {seconds:.0f} s, losses {' '.join(losses)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--lr", type=float, nargs="*", default=[])
    parser.add_argument("--epochs", type=int, nargs="*", default=[])
    parser.add_argument("--batch", type=int, nargs="*", default=[])
    parser.add_argument("--warmup", type=float, nargs="*", default=[])
    parser.add_argument("--shift", type=int, nargs="*", default=[])
    parser.add_argument("--clip", type=float, nargs="*", default=[])
    parser.add_argument("--init", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--layout", default="channels_last")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
