"""`convarium cost`: counts a network's price from the network itself, at any input size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from convarium.cli.cost_batch import fits_text, parse_bytes
from convarium.cli.cost_text import FORMATS, format_of, refuse_unheeded, written
from convarium.cli.names import complete
from convarium.cli.output import AsJson, prints_to_stderr, say
from convarium.errors import UsageError


def cost(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Networks of `convarium list`, torchvision:NAME, timm:NAME, or file.py:function, "
            "which is called and gives a torch module.",
            autocompletion=complete,
        ),
    ],
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="CxHxW",
            help="Channels, height, width in pixels, or other sides of one sample, such as "
            "3x16x112x112 of a video, 784 of a vector, 128 of words; each network's native size "
            "when left out.",
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Pictures at once; 1 when left out.")
    ] = None,
    training: Annotated[
        bool, typer.Option("--training", help="Count the backward pass and its memory too.")
    ] = False,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="sgd|momentum|adam",
            help="Of the predicted peak with --training; sgd when left out.",
            autocompletion=lambda: ["sgd", "momentum", "adam"],
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="fp32|bf16",
            help="Of predicted memory; bf16 is torch's autocast.",
            autocompletion=lambda: ["fp32", "bf16"],
        ),
    ] = "fp32",
    max_batch: Annotated[
        str | None,
        typer.Option(
            "--max-batch",
            metavar="8GB",
            help="Tell the largest batch whose predicted peak fits there, and nothing else.",
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(min=1, metavar="D", help="Join rows below D parts of the module path."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Sort by any column of --json; largest first."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="The first K rows, the rest in one.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="KEY,KEY...",
            help="Columns of the rows as --json names them, or all; those of the text when left "
            "out.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="table, or what the ending of --out says, when left out.",
            autocompletion=lambda: list(FORMATS),
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there.")] = None,
    predict_time: Annotated[
        bool,
        typer.Option(
            "--predict-time",
            help="Milliseconds of a forward pass here, not run; `bench --calibrate` comes first.",
        ),
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of --predict-time; all that may be used.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count parameters, multiply-adds (MACs), bytes and receptive fields of networks.

    One network is told layer by layer, several are put side by side. Counted on the meta device:
    nothing is computed. FLOPs are 2 x MACs. Peaks of memory are predicted for the CPU.

    \b
    Example: convarium cost vgg_d --input 3x160x160
    Example: convarium cost torchvision:resnet50 --training --depth 1 --sort macs
    Example: convarium cost resnet50 --training --optimizer adam --precision bf16 --batch 32
    Example: convarium cost resnet50 --max-batch 8GB --training
    Example: convarium cost squeezenet1_1 --out squeezenet.svg
    Example: convarium cost my_net.py:make --input 3x64x64 --json
    Example: convarium cost resnet50 torchvision:resnet50 --predict-time --batch 8
    """
    size = None if input_size is None else parse_size(input_size, least=1)
    if predict_time:
        others = (out, training, depth, sort, top, columns, max_batch, optimizer)
        if form not in (None, "table", "json") or any(others):
            raise UsageError(
                "--predict-time goes with --input, --batch, --threads, --precision and --json only."
            )
        _predict(names, size, batch or 1, threads, precision, as_json=as_json or form == "json")
        return
    if threads is not None:
        raise UsageError("--threads goes with --predict-time: what is counted has no threads.")
    limit = None if max_batch is None else parse_bytes(max_batch)
    if limit is not None and any((batch, depth, sort, top, columns)):
        raise UsageError(
            "--max-batch goes with --input, --training, --optimizer, --precision, --format, --out "
            "and --json only."
        )
    chosen = format_of(form, out, as_json=as_json)
    if optimizer is not None and not training:
        raise UsageError(f"--optimizer {optimizer} belongs to a training step. Add --training.")

    from convarium.cost.listing import View
    from convarium.cost.peaks import with_peaks
    from convarium.cost.sources import distinct, find
    from convarium.cost.step import Step

    step = Step(training, optimizer or "sgd", precision)
    view = View(depth, sort, top, columns)
    view.check(several=len(names) > 1)
    refuse_unheeded(view, chosen, several=len(names) > 1)
    with prints_to_stderr():
        sources = distinct(find(name, size[0] if size else None) for name in dict.fromkeys(names))
        if limit is not None:
            text = fits_text([source.fit(size, limit, step) for source in sources], chosen)
        else:
            reports = [
                source.cost(size, batch_size=batch or 1, training=training) for source in sources
            ]
            pairs = zip(reports, sources, strict=True)
            reports = [with_peaks(report, source.model, step) for report, source in pairs]
            text = written(reports, view, chosen)
    if out is None:
        print(text, end="")
        return
    from convarium.files import written_whole

    with written_whole(out) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def _predict(
    names: list[str],
    size: tuple[int, ...] | None,
    batch: int,
    threads: int | None,
    precision: str,
    *,
    as_json: bool,
) -> None:
    """Predicts each network's time with this machine's calibration; prints its own error too."""
    from convarium.cli.bench_text import predictions_text
    from convarium.cli.output import print_json
    from convarium.cost.latency.predict import predict
    from convarium.cost.latency.store import kept
    from convarium.cost.sources import distinct, find
    from convarium.machine import Plan
    from convarium.machine.describe import available_cores

    plan = Plan(threads or available_cores(), precision=precision)
    known = kept(plan)
    with prints_to_stderr():
        sources = distinct(find(name, size[0] if size else None) for name in dict.fromkeys(names))
        for one in sources:
            if others := one.other_floats():
                say(f"{one.name} is built in {others}, told is the time in {precision}.")
        found = [
            predict(one.model, one.sized(size), known.model, name=one.name, batch_size=batch)
            for one in sources
        ]
    if as_json:
        told = [one.to_dict() for one in found]
        print_json({"threads": plan.threads, "predictions": told, "reached": known.reached})
    else:
        print(predictions_text(found, plan.threads, known.reached))


def parse_size(text: str, *, least: int = 2) -> tuple[int, ...]:
    """(channels, height, width) of a text such as "3x224x224"; `least` to four sides of a sample.

    Raises:
        UsageError: it has another form.

    >>> parse_size("3x224x224")
    (3, 224, 224)
    """
    sides = text.lower().split("x")
    if not least <= len(sides) <= 4 or not all(re.fullmatch(r"[1-9]\d{0,4}", n) for n in sides):
        raise UsageError(f"--input {text!r} is not CHANNELSxHEIGHTxWIDTH, such as 3x224x224.")
    return tuple(map(int, sides))
