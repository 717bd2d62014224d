"""`convarium train`: one network on one data set by a recipe; checkpoints, weights, a record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from convarium.cli.bakeoff import Device, Layout, Precision, SkipBad, Threads
from convarium.cli.names import NetworkName
from convarium.cli.output import AsJson, print_json, say
from convarium.files import shown

Number = Annotated[int | None, typer.Option(metavar="N", help="Epochs, instead of the recipe's.")]
MicroBatch = Annotated[
    int | None,
    typer.Option(
        metavar="M",
        min=1,
        help="Take the batch in parts of M pictures; batch norm sees the parts.",
    ),
]


def train(
    name: NetworkName,
    data: Annotated[
        str, typer.Option(metavar="digits|FOLDER|FILE", help="As for `convarium bakeoff`.")
    ],
    recipe: Annotated[
        str, typer.Option(metavar="short|paper|NAME|FILE", help="How to train.")
    ] = "short",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of the recipe; repeatable."),
    ] = None,
    epochs: Number = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="Minutes of training, instead of epochs.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed repeats the run.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the run; runs/NAME-DATA-SEED when left out."),
    ] = None,
    resume: Annotated[
        str,
        typer.Option(
            metavar="auto|never|PATH",
            help="Go on from DIR's newest checkpoint, start over, or go on from another folder's.",
        ),
    ] = "auto",
    init_from: Annotated[
        str | None,
        typer.Option(metavar="RUN|PATH", help="Start from the equal layers of trained weights."),
    ] = None,
    micro_batch: MicroBatch = None,
    checkpoint_steps: Annotated[
        int, typer.Option(metavar="N", min=1, help="Steps between checkpoints, at most.")
    ] = 50,
    checkpoint_seconds: Annotated[
        float, typer.Option(metavar="S", help="Seconds between checkpoints, at most.")
    ] = 10.0,
    precision: Precision = None,
    layout: Layout = None,
    threads: Threads = None,
    device: Device = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a TensorBoard log there (an extra).")
    ] = None,
    skip_bad: SkipBad = False,
    sync_bn: Annotated[
        bool, typer.Option("--sync-bn", help="Batch norm sees the batches of all processes.")
    ] = False,
    shard: Annotated[
        bool,
        typer.Option("--shard", help="Split weights and optimiser over the processes (FSDP2)."),
    ] = False,
    model_parallel: Annotated[
        bool,
        typer.Option("--model-parallel", help="alexnet_2gpu: one tower on each of 2 processes."),
    ] = False,
    devices: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="alexnet_2gpu: a tower on each of two devices."),
    ] = None,
    dist_timeout: Annotated[
        float,
        typer.Option(metavar="S", help="Seconds after which a silent process counts as gone."),
    ] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Train one network by a recipe, test it, and keep checkpoints, weights and record.

    Writes DIR/last.safetensors, DIR/report.html, DIR/log.jsonl and DIR/checkpoints/. The same
    command again goes on where a killed or stopped run left off, and ends in the same bits.
    SIGTERM and SIGUSR1 stop it behind a checkpoint, with exit code 75.

    \b
    Example: convarium train lenet5 --data digits --epochs 5
    Example: convarium train resnet20_cifar --data digits --set batch=64 --set lr=0.2
    Example: torchrun --nproc-per-node 2 -m convarium train lenet5 --data digits
    """
    from convarium.bakeoff.settings import Settings
    from convarium.bakeoff.single import Keeping, train_one
    from convarium.cli.bakeoff import command_line, stem
    from convarium.cli.progress import watch
    from convarium.errors import UsageError
    from convarium.report import write_run
    from convarium.train.launch import joined

    ways = {"shards": shard, "towers": model_parallel, "devices": devices is not None}
    asked_ways = [way for way, is_asked in ways.items() if is_asked]
    if len(asked_ways) > 1:
        raise UsageError("give one of --shard, --model-parallel and --devices.")
    if device is not None and devices is not None:
        raise UsageError("give --device or --devices, not both.")
    mode = asked_ways[0] if asked_ways else "copies"
    asked: dict[str, Any] = {"recipe": None if recipe == "short" else recipe, "epochs": epochs}
    asked |= {"minutes": minutes, "seed": seed, "micro-batch": micro_batch, "init-from": init_from}
    asked |= {"precision": precision, "layout": layout, "threads": threads}
    asked |= {"device": device, "skip-bad": skip_bad or None}
    settings = Settings(
        data=data,
        out=out or Path("runs") / f"{name}-{stem(data)}-{seed}",
        models=(name,),
        epochs=epochs,
        minutes=minutes,
        seed=seed,
        precision=precision,
        layout=layout,
        threads=threads,
        device=device,
        skip_bad=skip_bad,
        command=command_line(f"train {name}", data, asked, set_ or ()),
        recipe=recipe,
        overrides=tuple(set_ or ()),
        micro_batch=micro_batch,
    )
    keeping = Keeping(resume, checkpoint_steps, checkpoint_seconds, init_from, tensorboard)
    names = tuple(devices.split(",")) if devices else ()
    meeting = joined(mode=mode, sync_bn=sync_bn, timeout=dist_timeout, device=device, devices=names)
    with watch() as watcher, meeting as world:
        done = train_one(settings, keeping, listen=watcher.listen, tell=watcher.tell, world=world)
    if done is None:  # rank 0 tells
        return
    assert done.race is not None
    page = write_run(done.race, settings.out)
    if as_json:
        kept = replace(done.result, mistakes=())
        again = {"resumed_from_step": done.resumed_from_step, "exact": done.exact}
        print_json(
            {"result": _fields(kept), "weights": str(done.weights), "report": str(page), **again}
        )
        return
    say(f"weights: {shown(done.weights)}")
    say(f"report: {shown(page)}")


def _fields(result: Any) -> dict[str, Any]:
    from convarium.records.codec import result_to_dict

    return result_to_dict(result)
