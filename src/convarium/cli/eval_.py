"""`convarium eval`: how many test pictures a trained network gets right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convarium.cli.bakeoff import Device, SkipBad
from convarium.cli.names import NetworkName
from convarium.cli.output import AsJson, print_json, say


def eval_(
    name: NetworkName,
    weights: Annotated[
        Path, typer.Option(metavar="FILE", help="A safetensors file that convarium wrote.")
    ],
    data: Annotated[
        str, typer.Option(metavar="digits|FOLDER|FILE", help="As for `convarium bakeoff`.")
    ],
    device: Device = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate trained weights on the test part of a data set: top-1, top-5, Wilson's interval.

    The pictures are shown once each, whole (digits) or as the middle of each (photographs).

    \b
    Example: convarium eval lenet5 --weights runs/lenet5-digits-0/last.safetensors --data digits
    """
    from convarium import api, catalog
    from convarium.bakeoff.race import say_skipped
    from convarium.bakeoff.trained import built_as_trained, options_of, scaled_as
    from convarium.data import load_dataset
    from convarium.evaluate import evaluate, wilson_interval
    from convarium.facts import model_facts
    from convarium.machine import Plan, default_device, known_device
    from convarium.machine.describe import available_cores

    plan = Plan(available_cores(), device=known_device(device or default_device()))
    row = catalog.find(name)
    dataset = load_dataset(data, side=model_facts(row.name).input[1], skip_bad=skip_bad)
    say_skipped(dataset, say)
    sizes = {"num_classes": len(dataset.classes), "in_channels": dataset.channels}
    model = built_as_trained(row.name, weights, options_of(weights), **sizes)
    api.load_weights(model, weights)
    dataset = scaled_as(dataset, weights)
    told = evaluate(model, dataset.test, prepare=dataset.prepare, plan=plan)
    scores = {"top1": told.top1_correct, "top5": told.top5_correct}
    if as_json:
        intervals = {key: wilson_interval(right, told.total) for key, right in scores.items()}
        print_json(
            {
                "model": row.name,
                "data": dataset.name,
                "top1_correct": told.top1_correct,
                "top1_total": told.total,
                "top5_correct": told.top5_correct,
                "top1_interval": intervals["top1"],
                "top5_interval": intervals["top5"],
                "confusion": told.confusion,
            }
        )
        return
    print(f"{row.name} on {dataset.name}, {told.total} test pictures")
    for key, right in scores.items():
        low, high = wilson_interval(right, told.total)
        share = f"{100 * right / told.total:.2f} %"
        print(
            f"{key.replace('top', 'top-')}  {right} right, {share}  "
            f"(95 % interval {100 * low:.2f} to {100 * high:.2f})"
        )
