"""Training steps against torchvision's reference loop and a bare loop, in one run.

python benchmarks/train.py resnet20|resnet18|mobilenet --data DATA [--workers 0,1,2] [--rounds 4]
python benchmarks/train.py overhead --data DATA     ours against a bare loop on the same plan
python benchmarks/train.py depth --data DATA        stochastic depth against all blocks

DATA is CIFAR-10, but for resnet18 and mobilenet, which take a folder of photographs. Contestants
take blocks of steps in turns; the first steps of a block refill the queues of those who load ahead
and are not counted. A ratio is the median over the rounds, with its quartiles. The reference may
choose among the numbers of workers: ours is compared with the best of them. All train the same
network with the same batch and schedule. `convarium train`'s own plan is used (the speed probe),
and its checkpoints are written.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import convarium
from convarium.data import Dataset, load_dataset, normalised, training_views
from convarium.machine import Plan
from convarium.machine.describe import processor
from convarium.nets.stochastic_depth import Surviving
from convarium.recipes import Recipe
from convarium.train import Keeper, StepDone, Training, plan_for
from convarium.train.kernels import faster_layers
from reference_loop import ArrayPictures, FilePictures, reference_steps

Contestant = Iterator[object]  # each `next` is one step
STAGES = ("conv2_x", "conv3_x", "conv4_x")
PAPERS_BATCH = 128  # of stochastic depth on CIFAR-10
COMMON: dict[str, Any] = {
    "epochs": 10_000,
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 1e-4,
}
COMMON |= {"schedule": "constant", "warmup": "none", "lr": 0.01}


@dataclass(frozen=True)
class Case:
    """One comparison: network, recipe, steps of a block, and the ratio to reach."""

    network: str
    recipe: Recipe
    steps: int
    goal: float
    refill: int = 4  # steps at the start of a block that are not counted


_CIFAR = Recipe("cifar", batch=128, shift_px=4, border="zero", mirror=True, **COMMON)
_PHOTO = Recipe("photographs", batch=32, shift_px=0, area=(0.08, 1.0), mirror=True, **COMMON)
CASES = {
    "resnet20": Case("resnet20_cifar", _CIFAR, 8, 2.1),
    "resnet18": Case("resnet18_b", _PHOTO, 3, 2.0, 2),
    "mobilenet": Case("mobilenet_v1_100_224", _PHOTO, 3, 2.0, 2),
}


def rounds_of(
    contestants: dict[str, Contestant], *, rounds: int, steps: int, refill: int
) -> dict[str, list[float]]:
    """Seconds a step of each contestant in each round; a first round warms up."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(-1, rounds):
        for name, contestant in contestants.items():
            for _ in range(refill):
                next(contestant)
            if number < 0:
                continue
            begin = time.perf_counter()
            for _ in range(steps):
                next(contestant)
            found[name].append((time.perf_counter() - begin) / steps)
        if steps > 1:
            told = ", ".join(f"{name} {1e3 * s[-1]:.0f}" for name, s in found.items() if s)
            print(f"round {number + 1}: {told or 'warmed up'}", file=sys.stderr, flush=True)
    return found


def quartiles(values: list[float], form: str = ".3f") -> str:
    """Median and quartiles in words."""
    if len(values) < 2:
        return f"{values[0]:{form}}"
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{median:{form}} ({low:{form}} to {high:{form}}, n={len(values)})"


def our_steps(
    model: nn.Module, dataset: Dataset, recipe: Recipe, plan: Plan, keeper: Keeper | None
) -> Contestant:
    """The steps of `convarium train`."""
    training = Training(model, dataset, recipe, 0, plan, keeper=keeper)
    return (event for event in training.events() if isinstance(event, StepDone))


def bare_steps(model: nn.Module, dataset: Dataset, recipe: Recipe, plan: Plan) -> Contestant:
    """A loop as one writes it by hand for this one case: same plan, views, layers and update."""
    model = plan.place(model).train()
    views = training_views(dataset, recipe)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=0.9, weight_decay=1e-4, fused=True
    )
    epoch = 0
    while True:
        epoch += 1
        for ids in torch.randperm(len(dataset.train)).split(recipe.batch):
            images = plan.move(views(ids, seed=0, epoch=epoch))
            labels = dataset.train.labels[ids]
            optimizer.zero_grad(set_to_none=True)
            with plan.autocast(), faster_layers(model, plan):
                logits = model(images)
            loss = F.cross_entropy(logits.float(), labels)
            loss.backward()
            optimizer.step()
            yield loss


def reference_data(dataset: Dataset, place: str) -> torch.utils.data.Dataset:
    """The same pictures as the reference loop has them."""
    split = dataset.train
    if dataset.kind == "small":
        pixels = split.images(range(len(split))).permute(0, 2, 3, 1).contiguous()
        return ArrayPictures(pixels.numpy(), split.labels.numpy())
    return FilePictures([Path(place) / name for name in split.names], split.labels.tolist())


def build(case: Case, dataset: Dataset) -> nn.Module:
    torch.manual_seed(0)
    return convarium.create_model(case.network, num_classes=len(dataset.classes))


def planned(case: Case, dataset: Dataset, fixed: list[str]) -> Plan:
    """The speed probe's plan, or what --plan says."""
    given = dict(zip(("precision", "layout"), fixed, strict=False))
    threads = int(fixed[2]) if len(fixed) > 2 else None
    model = build(case, dataset)
    plan = plan_for(case.network, model, dataset, case.recipe, threads=threads, **given)
    print(f"plan: {plan.precision} {plan.layout} {plan.threads} threads; {plan.chosen_by}")
    return plan


def against_reference(
    name: str, place: str, workers: list[int], rounds: int, fixed: list[str]
) -> None:
    case = CASES[name]
    dataset = normalised(load_dataset(place), case.recipe)
    theirs, plan = reference_data(dataset, place), planned(case, dataset, fixed)
    batch, lr = case.recipe.batch, case.recipe.lr
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = our_steps(build(case, dataset), dataset, case.recipe, plan, Keeper(folder, {}))
        contestants: dict[str, Contestant] = {"convarium": ours}
        for count in workers:
            steps = reference_steps(build(case, dataset), theirs, batch=batch, lr=lr, workers=count)
            contestants[f"reference, {count} workers"] = steps
        found = rounds_of(contestants, rounds=rounds, steps=case.steps, refill=case.refill)
    for who, seconds in found.items():
        print(f"{who:<24} {quartiles([1e3 * s for s in seconds], '.1f')} ms a step")
    best = min(list(found)[1:], key=lambda who: statistics.median(found[who]))
    ratios = [theirs / ours for theirs, ours in zip(found[best], found["convarium"], strict=True)]
    print(f"{case.network}, batch {batch}: {quartiles(ratios, '.2f')} times as fast as")
    print(f"{best}, their best (goal {case.goal})")


def overhead(place: str, rounds: int, fixed: list[str]) -> None:
    """Ours against the bare loop, one step each in turns."""
    case = CASES["resnet20"]
    dataset = normalised(load_dataset(place), case.recipe)
    plan = planned(case, dataset, fixed)
    with tempfile.TemporaryDirectory() as folder, plan.settings():
        keeper = Keeper(Path(folder), {})
        contestants: dict[str, Contestant] = {
            "bare": bare_steps(build(case, dataset), dataset, case.recipe, plan),
            "convarium": our_steps(build(case, dataset), dataset, case.recipe, plan, keeper),
        }
        found = rounds_of(contestants, rounds=40 * rounds, steps=1, refill=0)
    for who, seconds in found.items():
        print(f"{who:<12} {quartiles([1e3 * s for s in seconds], '.1f')} ms a step")
    pairs = zip(found["convarium"], found["bare"], strict=True)
    more = [100 * (ours / theirs - 1) for ours, theirs in pairs]
    print(f"{case.network}, batch {case.recipe.batch}: {quartiles(more, '+.2f')} % a step more")
    print("(goal below 2 %)")


@dataclass(frozen=True)
class Depth:
    """Mean seconds of a step by contestant, and the share of the steps that dropped each block."""

    seconds: dict[str, float]
    dropped: dict[str, float]
    steps: int


def depth(place: str, rounds: int, fixed: list[str], batch: int) -> None:
    """Stochastic depth against the same network with every block, and the share it should skip.

    That share is told of the blocks' multiply-adds, and of the time that their stages take here:
    a step without a stage is so much shorter.
    """
    case = Case("stochastic_depth_110", replace(_CIFAR, batch=batch), 1, 0, 0)
    dataset = normalised(load_dataset(place), case.recipe)
    survival = {at: block.survival for at, block in _blocks(build(case, dataset)).items()}
    _tell_depth(case, _timed_depth(case, dataset, planned(case, dataset, fixed), rounds), survival)


def _timed_depth(case: Case, dataset: Dataset, plan: Plan, rounds: int) -> Depth:
    """Steps in turns: with all blocks, by stochastic depth, and without each stage."""
    models = {name: build(case, dataset) for name in ("all blocks", "stochastic depth", *STAGES)}
    for name, model in models.items():
        for at, block in _blocks(model).items():
            if name != "stochastic depth":
                block.survival = 0.0 if at.startswith(name) else 1.0
    chosen = _blocks(models["stochastic depth"])
    ran: Counter[str] = Counter()
    for at, block in chosen.items():
        block.get_submodule("conv1").register_forward_hook(partial(_note, ran, at))
    tasks = {name: our_steps(m, dataset, case.recipe, plan, None) for name, m in models.items()}
    with plan.settings():
        rounds_of(tasks, rounds=1, steps=1, refill=1)
        ran.clear()
        steps = 40 * rounds
        found = rounds_of(tasks, rounds=steps, steps=1, refill=0)
    mean = {name: statistics.mean(seconds) for name, seconds in found.items()}
    return Depth(mean, {at: 1 - ran[at] / steps for at in chosen}, steps)


def _tell_depth(case: Case, found: Depth, survival: dict[str, float]) -> None:
    """How much shorter a step is: as measured, and by what its blocks should take."""
    mean, dropped = found.seconds, found.dropped
    for who, seconds in mean.items():
        told = f"without {who}" if who in STAGES else who
        print(f"{told:<18} {1e3 * seconds:.1f} ms, mean of {found.steps}")
    macs = {row.name: row.macs for row in convarium.measure_cost(case.network).rows}
    own = {at: sum(v for k, v in macs.items() if k.startswith(f"{at}.")) for at in dropped}
    shares = {at: own[at] / sum(macs.values()) for at in dropped}
    whole = mean["all blocks"]
    by_time = sum(
        (1 - mean[stage] / whole) * statistics.mean(dropped[at] for at in dropped if stage in at)
        for stage in STAGES
    )
    by_macs = sum(dropped[at] * shares[at] for at in dropped)
    by_chance = sum((1 - survival[at]) * shares[at] for at in dropped)
    print(f"{case.network}, batch {case.recipe.batch}: a step is shorter by, in %")
    print(f"{100 * (1 - mean['stochastic depth'] / whole):.1f} as measured;")
    print(f"{100 * by_time:.1f} by the time of the stages whose blocks these steps dropped;")
    print(f"{100 * by_macs:.1f} by the MACs of those blocks;")
    print(f"{100 * by_chance:.1f} by the MACs of all blocks at their chance; the paper says 25")


def _blocks(model: nn.Module) -> dict[str, Surviving]:
    return {name: m for name, m in model.named_modules() if isinstance(m, Surviving)}


def _note(ran: Counter[str], name: str, *_: object) -> None:
    ran[name] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=[*CASES, "overhead", "depth"])
    parser.add_argument("--data", help="CIFAR-10, or a folder of photographs")
    parser.add_argument("--workers", default="0,1,2", help="of the reference's loader")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batch", type=int, help="instead of the case's")
    parser.add_argument("--plan", default="", help="bf16,channels_last,2 instead of the probe's")
    given = parser.parse_args()
    fixed = given.plan.split(",") if given.plan else []
    print(f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    if given.data is None:
        parser.error("this case needs --data")
    if given.batch and given.case in CASES:
        case = CASES[given.case]
        CASES[given.case] = replace(case, recipe=replace(case.recipe, batch=given.batch))
    if given.case == "overhead":
        overhead(given.data, given.rounds, fixed)
    elif given.case == "depth":
        depth(given.data, given.rounds, fixed, given.batch or PAPERS_BATCH)
    else:
        workers = [int(count) for count in given.workers.split(",")]
        against_reference(given.case, given.data, workers, given.rounds, fixed)


if __name__ == "__main__":
    main()
