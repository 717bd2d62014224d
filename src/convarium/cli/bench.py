"""`convarium bench`: runs networks on this machine and times them, in turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from convarium.cli.bakeoff import Device
from convarium.cli.cost import parse_size
from convarium.cli.names import complete
from convarium.cli.output import AsJson, print_json, prints_to_stderr, say
from convarium.errors import UsageError

if TYPE_CHECKING:
    from convarium.machine import Plan

MOST = 100_000  # of a batch or a number of threads


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Networks of `convarium list`, torchvision:NAME, timm:NAME, or file.py:function.",
            autocompletion=complete,
        ),
    ] = None,
    batch: Annotated[
        str | None, typer.Option(metavar="N,N", help="Pictures at once; 1 when left out.")
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(metavar="N,N", help="Threads; all that may be used when left out."),
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32, or bf16 by autocast.")] = "fp32",
    layout: Annotated[str, typer.Option(help="contiguous or channels_last.")] = "contiguous",
    device: Device = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="For each network, batch and number of threads; 2 when left out."
        ),
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option("--input", metavar="CxHxW", help="Each network's native size when left out."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="LIB,LIB", help="Their equal networks too: torchvision, timm."),
    ] = None,
    per_op: Annotated[
        bool, typer.Option("--per-op", help="Time every operator, and Python between.")
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Fit the latency model of `cost --predict-time`; a minute."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="After --calibrate: 12 networks, predicted and timed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Time networks on this machine: latency, pictures a second, peak memory, energy.

    Networks are timed in turns, round after round, so that a busy moment falls on all of them.
    With several names, each one's time is also told as a ratio to the first one's; an equal's of
    --against, as a ratio to its own counterpart's. p50, p90, p99 are milliseconds of a whole batch
    in which half, nine tenths and 99 of 100 passes end. MB are 1,000,000 bytes of resident memory
    above what is there before a pass.

    \b
    Example: convarium bench resnet50 --batch 1,8,32 --threads 1,2
    Example: convarium bench resnet18 vgg_a --against torchvision
    Example: convarium bench squeezenet1_1 --per-op --json
    Example: convarium bench --calibrate --check
    """
    size = None if input_size is None else parse_size(input_size, least=1)
    batches = numbers("1" if batch is None else batch, "--batch")
    counts = None if threads is None else numbers(threads, "--threads")
    if calibrate and names:
        raise UsageError("--calibrate takes no names: it times shapes of no network.")
    if calibrate and any((batch, seconds is not None, input_size, against, per_op)):
        raise UsageError(
            "--calibrate goes with --check, --threads, --precision, --layout and --json only."
        )
    if check and not calibrate:
        raise UsageError("--check goes with --calibrate.")
    if not calibrate and not names:
        raise UsageError("name a network to time, or write --calibrate. See convarium list.")
    from convarium.cost.measured.bench import Settings, plans_of
    from convarium.machine import default_device, known_device
    from convarium.machine.describe import available_cores

    if calibrate and device not in (None, "cpu"):
        raise UsageError("--calibrate fits the processor's times, not a GPU's: leave --device out.")
    place = "cpu" if calibrate else known_device(device or default_device())
    plans = plans_of(counts or [available_cores()], layout, precision, place)
    if calibrate:
        _calibrate(plans, with_check=check, as_json=as_json)
        return
    settings = Settings(plans, tuple(batches), 2.0 if seconds is None else seconds, per_op)
    libraries = [word for word in (against or "").split(",") if word]
    _measure(names or [], libraries, size, settings, as_json=as_json)


def numbers(text: str, option: str) -> list[int]:
    """Whole numbers between commas, each once.

    Raises:
        UsageError: anything else, or a number that is out of reason.

    >>> numbers("1,8,32", "--batch")
    [1, 8, 32]
    """
    words = text.split(",")
    if not all(word.strip().isdecimal() and 1 <= int(word) <= MOST for word in words):
        raise UsageError(f"{option} {text!r} is no list of numbers from 1 on, such as 1,8,32.")
    return list(dict.fromkeys(int(word) for word in words))


def _measure(
    names: list[str],
    libraries: list[str],
    size: tuple[int, ...] | None,
    settings: object,
    *,
    as_json: bool,
) -> None:
    from convarium.cli.bench_text import bench_text
    from convarium.cost.measured.bench import Settings, bench
    from convarium.cost.measured.contestants import contestants
    from convarium.machine import describe_machine, device_label
    from convarium.records import RunLog

    assert isinstance(settings, Settings)
    with prints_to_stderr():
        entrants = contestants(names, against=libraries, input_size=size, tell=say)
        report = bench(entrants, settings, tell=say)
    machine = describe_machine()
    told = report.to_dict()
    log = RunLog("bench", None, tell=say, machine=machine, models=[one.name for one in entrants])
    log.write("bench", report=told)
    log.write("end", status="done")
    if as_json:
        print_json({"run": log.id, "machine": machine, **told})
    else:
        print(bench_text(report, device_label(report.device)))


def _calibrate(plans: tuple[Plan, ...], *, with_check: bool, as_json: bool) -> None:
    from convarium.cli.bench_text import check_text, errors_text, interference_text
    from convarium.cost.latency.sitting import sit

    told = []
    for plan in plans:
        found = sit(plan, with_check=with_check, tell=say)
        told.append(found.to_dict())
        if not as_json:
            print(errors_text(found))
            print(f"kept in {found.path}")
            if found.reached is None:
                print(interference_text(found.interference))
            else:
                print(check_text(found.reached))
    if as_json:
        print_json({"calibrations": told})
