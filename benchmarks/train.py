"""Training steps against torchvision's reference loop and a bare loop, in one run.

python benchmarks/train.py resnet20|resnet18|mobilenet --data DATA [--workers 0,1,2] [--rounds 4]
python benchmarks/train.py overhead --data DATA     ours against a bare loop on the same plan
python benchmarks/train.py depth                    stochastic depth against all blocks

DATA is CIFAR-10 for resnet20 and overhead, a folder of photographs for the other two. Contestants
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import convarium
from convarium.data import Dataset, load_dataset, normalised, training_views
from convarium.machine import Plan
from convarium.machine.describe import processor
from convarium.recipes import Recipe
from convarium.train import Keeper, StepDone, Training, plan_for
from convarium.train.kernels import faster_layers
from reference_loop import ArrayPictures, FilePictures, reference_steps

Contestant = Iterator[object]  # each `next` is one step
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


def depth(rounds: int, batch: int) -> None:
    """Stochastic depth against the same network with every block, and the share it should skip."""
    name = "stochastic_depth_110"
    plan = Plan(torch.get_num_threads(), "channels_last", "bf16", "this script")
    images, labels = torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,))
    macs = {row.name: row.macs for row in convarium.measure_cost(name).rows}
    chosen, full = (plan.place(convarium.create_model(name)).train() for _ in range(2))
    blocks = {n: m for n, m in chosen.named_modules() if hasattr(m, "survival")}
    own = {n: sum(v for k, v in macs.items() if k.startswith(f"{n}.")) for n in blocks}
    expected = sum((1 - block.survival) * own[n] for n, block in blocks.items())
    for module in full.modules():
        if hasattr(module, "survival"):
            setattr(module, "survival", 1.0)  # noqa: B010 - a module's own word
    done = [0]
    for n, block in blocks.items():
        block.conv1.register_forward_hook(_adder(done, own[n]))

    def step(model: nn.Module) -> Callable[[], None]:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, foreach=True)

        def run() -> None:
            optimizer.zero_grad(set_to_none=True)
            with plan.autocast():
                logits = model(images)
            F.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

        return run

    tasks = {"all blocks": _forever(step(full)), "stochastic depth": _forever(step(chosen))}
    rounds_of(tasks, rounds=1, steps=1, refill=1)
    done[0], steps = 0, 40 * rounds
    found = rounds_of(tasks, rounds=steps, steps=1, refill=0)
    total = sum(macs.values())
    for who, seconds in found.items():
        print(f"{who:<18} {1e3 * statistics.mean(seconds):.1f} ms a step, mean of {steps}")
    shorter = 1 - sum(found["stochastic depth"]) / sum(found["all blocks"])
    drawn = 1 - (total - sum(own.values())) / total - done[0] / steps / total
    print(f"{name}, batch {batch}: a step is {100 * shorter:.1f} % shorter")
    print(f"expected from the MACs of the blocks: {100 * expected / total:.1f} %;")
    print(f"of those that these steps drew: {100 * drawn:.1f} %; the paper says 25 %")


def _adder(done: list[int], macs: int) -> Callable[..., None]:
    def add(*_: object) -> None:
        done[0] += macs

    return add


def _forever(task: Callable[[], None]) -> Contestant:
    while True:
        task()
        yield None


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
    if given.case == "depth":
        depth(given.rounds, given.batch or PAPERS_BATCH)
        return
    if given.data is None:
        parser.error("this case needs --data")
    if given.batch and given.case in CASES:
        case = CASES[given.case]
        CASES[given.case] = replace(case, recipe=replace(case.recipe, batch=given.batch))
    if given.case == "overhead":
        overhead(given.data, given.rounds, fixed)
    else:
        workers = [int(count) for count in given.workers.split(",")]
        against_reference(given.case, given.data, workers, given.rounds, fixed)


if __name__ == "__main__":
    main()
