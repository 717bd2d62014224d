"""bfloat16 against float32 over seeds: whether precision moves accuracy more than the seed does.

python benchmarks/seeds.py [--network resnet20_cifar] [--data digits|DATA] [--seeds 4]
                           [--epochs 3] [--train N] [--test N]

Each seed trains the network twice by its short recipe, once in each precision: same first weights,
same samples, same views. Prints error and mean cross-entropy on the test part for each precision
(mean and deviation over the seeds) and the difference by seed with its standard error. The
difference counts as none where it is below two standard errors.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from math import sqrt

import torch

from convarium.data import Dataset, Split, load_dataset, normalised
from convarium.evaluate import evaluate
from convarium.facts import model_facts
from convarium.machine import Plan
from convarium.machine.describe import processor
from convarium.nets.build import build
from convarium.recipes import Recipe, recipe_for
from convarium.train import fit

PRECISIONS = ("fp32", "bf16")
MEASURES = ("test error, %", "test loss, nats")


def trained(
    network: str, data: Dataset, recipe: Recipe, seed: int, plan: Plan
) -> tuple[float, float]:
    """Error in % and mean cross-entropy in nats on the test part, behind a whole training."""
    torch.manual_seed(seed)
    model = build(network, num_classes=len(data.classes), in_channels=data.channels)
    for _ in fit(model, data, recipe, seed=seed, plan=plan):
        pass
    told = evaluate(model, data.test, prepare=data.prepare, plan=plan)
    right = told.probabilities.gather(1, data.test.labels[:, None]).clamp_min(1e-12)
    return 100 * (1 - told.top1_correct / told.total), -float(right.log().mean())


def mean_and_deviation(values: list[float]) -> str:
    """In words."""
    return f"{statistics.mean(values):.3f} +- {statistics.stdev(values):.3f}"


def few(data: Dataset, train: int | None, test: int | None) -> Dataset:
    """The first pictures of each part."""
    return replace(data, train=_first(data.train, train), test=_first(data.test, test))


def _first(split: Split, count: int | None) -> Split:
    return split if count is None else split.subset(range(min(count, len(split))))


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet20_cifar")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--train", type=int, help="pictures to train on, the first so many")
    parser.add_argument("--test", type=int, help="pictures to test on, the first so many")
    asked = parser.parse_args()
    if asked.seeds < 3:
        parser.error("a spread needs three seeds or more")
    begin, side = time.monotonic(), model_facts(asked.network).input[1]
    data = few(load_dataset(asked.data, side=side), asked.train, asked.test)
    recipe = recipe_for(asked.network, data.kind, len(data.train))
    recipe = replace(recipe, epochs=asked.epochs)
    data = normalised(data, recipe)
    threads = torch.get_num_threads()
    found: dict[str, list[tuple[float, float]]] = {precision: [] for precision in PRECISIONS}
    for seed in range(asked.seeds):
        for precision in PRECISIONS:
            plan = Plan(threads, "channels_last", precision)
            found[precision].append(trained(asked.network, data, recipe, seed, plan))
    sizes = f"{len(data.train):,} pictures, {recipe.epochs} epochs, tested on {len(data.test):,}"
    print(f"{asked.network}, {asked.data}: {sizes}; {asked.seeds} seeds, mean +- deviation")
    for place, measure in enumerate(MEASURES):
        values = {p: [row[place] for row in found[p]] for p in PRECISIONS}
        gaps = [b - a for a, b in zip(values["fp32"], values["bf16"], strict=True)]
        mean, error = statistics.mean(gaps), statistics.stdev(gaps) / sqrt(len(gaps))
        told = ", ".join(f"{p} {mean_and_deviation(v)}" for p, v in values.items())
        apart = "no difference seen" if abs(mean) < 2 * error else "a difference"
        print(
            f"{measure}: {told}; bf16 less fp32 {mean:+.3f} (standard error {error:.3f}): {apart}"
        )
    seconds = time.monotonic() - begin
    print(f"{processor()}, {threads} threads, torch {torch.__version__}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
