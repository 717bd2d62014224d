"""What a full count costs against a plain meta forward pass and other counters, in one run.

python benchmarks/cost.py [--net resnet152] [--rounds 9] [--part memory times forms]

memory: what the import adds to torch's, how far a count makes resident memory grow, the seconds
of densenet121's predicted memory beside torch's MemTracker. times: seconds (median, quartiles) of
each counter on one network, in turns with a plain forward pass on the meta device, and the median
of the ratios round by round; peers that compute get a third of the rounds. forms: how many closed
forms of tests/cost/test_micro_suite.py each counter hits, and the training MACs of networks where
torch's counter is off. Counters that are not installed are named with the line that installs them.
"""

from __future__ import annotations

import argparse
import importlib
import io
import runpy
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from functools import cache
from operator import truediv
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

import convarium
from convarium.machine.describe import processor
from convarium.machine.stopwatch import laps_in_turns
from memory import import_time, resident_growth, time_ledger

Counter = Callable[[nn.Module, tuple[int, ...]], float]  # MACs of one sample


def ours(model: nn.Module, size: tuple[int, ...]) -> float:
    return convarium.measure_cost(model, size).macs


def torchs(model: nn.Module, size: tuple[int, ...]) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(_picture(model, size))
    return counter.get_total_flops() / 2


def fvcore(model: nn.Module, size: tuple[int, ...]) -> float:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, _picture(model, size))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return analysis.total()


def calflops(model: nn.Module, size: tuple[int, ...]) -> float:
    """As it is called by default: it prints its rows, and gives the total alone."""
    from calflops import calculate_flops

    return calculate_flops(model, (1, *size), output_as_string=False, output_precision=12)[1]


def torchinfo(model: nn.Module, size: tuple[int, ...]) -> float:
    from torchinfo import summary

    device = _picture(model, size).device
    return summary(model, (1, *size), verbose=0, device=device).total_mult_adds


def ptflops(model: nn.Module, size: tuple[int, ...]) -> float:
    from ptflops import get_model_complexity_info

    options = {"print_per_layer_stat": False, "as_strings": False, "verbose": False}
    return get_model_complexity_info(model, size, **options)[0]


def thop(model: nn.Module, size: tuple[int, ...]) -> float:
    from thop import profile

    return profile(model, (_picture(model, size),), verbose=False)[0]


def torchlens(model: nn.Module, size: tuple[int, ...]) -> float:
    from torchlens import trace  # version 2 and later

    return float(trace(model, _picture(model, size)).total_macs_forward)


_OWN: dict[str, Counter] = {"convarium": ours, "torch": torchs}
COUNTERS = _OWN | {
    counter.__name__: counter for counter in (fvcore, calflops, torchinfo, ptflops, thop, torchlens)
}
ON_META = ("convarium", "torch")
PEERS = ["torch", "calflops", "torchlens"]  # of the times; all are in the closed forms


def _picture(model: nn.Module, size: tuple[int, ...]) -> torch.Tensor:
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return torch.zeros((1, *size), device=device)


def times(name: str, rounds: int, peers: list[str]) -> None:
    """Seconds of each counter on one network. Peers that compute run it on the CPU."""
    size = convarium.model_facts(name).input
    with torch.device("meta"):
        model = convarium.create_model(name).eval()
    picture = torch.empty((1, *size), device="meta")

    def plain() -> None:
        with torch.no_grad():
            model(picture)

    print(f"{name} on {processor()}, {torch.get_num_threads()} threads")
    print(f"{'':20}  rounds  seconds  quartiles        x plain  x convarium")
    real: nn.Module | None = None
    for counters in _groups(peers):
        slow = not set(counters) <= set(ON_META)
        tasks: dict[str, Callable[[], object]] = {"plain meta forward": plain}
        for counter in counters:
            if slow and real is None:
                real = convarium.create_model(name).eval()
            subject = model if real is None or counter in ON_META else real
            tasks[counter] = _silent(COUNTERS[counter], subject, size)
        turns = max(3, rounds // 3) if slow else rounds
        _print_laps(laps_in_turns(tasks, seconds=0, least=turns, most=turns))


def _print_laps(laps: dict[str, list[float]]) -> None:
    for task, seconds in laps.items():
        low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
        ratios = [
            statistics.median(map(truediv, seconds, laps[base]))
            for base in ("plain meta forward", "convarium")
        ]
        print(
            f"{task:20}  {len(seconds):6}  {middle:7.3f}  {f'{low:.3f} to {high:.3f}':15}"
            f"  {ratios[0]:7.2f}  {ratios[1]:7.2f}"
        )


def _groups(peers: list[str]) -> list[list[str]]:
    """One peer in turns with ours at a time, torchlens last: it wraps torch's functions for good,
    which breaks ptflops.
    """
    order = sorted(peers, key=lambda name: (name not in ON_META, name == "torchlens"))
    return [["convarium", name] for name in order if name in _installed()]


def _silent(counter: Counter, model: nn.Module, size: tuple[int, ...]) -> Callable[[], object]:
    def run() -> float:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return counter(model, size)

    return run


def _installed() -> list[str]:
    return [name for name in COUNTERS if name in ON_META or not _missing(name)]


@cache
def _missing(name: str) -> str:
    """The package that the peer lacks: itself, or one that it needs; "" when it is all there."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        return error.name or name
    return ""


def closed_forms() -> None:
    """Counted MACs over the closed form, case by case; "raises" where a counter gives up."""
    path = Path(__file__).resolve().parents[1] / "tests" / "cost" / "test_micro_suite.py"
    cases = runpy.run_path(str(path))["CASES"]
    counters = _installed()
    found = {name: [_ratio(COUNTERS[name], case) for case in cases] for name in counters}
    print(f"{'MACs / closed form':26}" + "".join(f"{name:>11}" for name in counters))
    for at, case in enumerate(cases):
        print(f"{case.name:26}" + "".join(f"{found[name][at]:>11}" for name in counters))
    hits = [found[name].count("1") for name in counters]
    print(f"{f'exact of {len(cases)}':26}" + "".join(f"{n:>11}" for n in hits))


def training() -> None:
    """MACs forward and backward of networks with groups, ours and torch's, over the closed form.

    A layer's backward pass has two products of its forward size, for its input and its weight; the
    picture needs no gradient, so the first layer has one.
    """
    print(f"\n{'training MACs / closed form':26}  convarium      torch")
    for name in ("mobilenet_v2", "shufflenet_v2_x1_0", "resnext50_32x4d"):
        with torch.device("meta"):
            model = models.get_model(name).train()
        report = convarium.measure_cost(model, (3, 224, 224), training=True)
        first = next(row.macs for row in report.rows if row.macs)
        exact = 3 * report.macs - first
        with FlopCounterMode(display=False) as counter:
            model(torch.empty((1, 3, 224, 224), device="meta")).sum().backward()
        ours = (report.macs + report.macs_backward) / exact
        print(f"{name:26}{ours:11.4g}{counter.get_total_flops() / 2 / exact:11.4g}")


def _ratio(counter: Counter, case: Any) -> str:
    try:
        found = _silent(counter, deepcopy(case.module).eval(), case.size)() or 0
    except Exception:  # noqa: BLE001 - whatever a peer raises is its answer
        return "raises"
    if case.macs == 0:
        return "1" if found == 0 else f"0 <> {found:g}"
    return f"{found / case.macs:.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="resnet152")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", nargs="+", choices=[*COUNTERS][1:], default=PEERS)
    parts = ("memory", "times", "forms")
    parser.add_argument("--part", nargs="+", choices=parts, default=list(parts))
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.part != ["memory"]:  # it looks at a process without peers
        for name in COUNTERS:
            if name not in _installed():
                print(f"{name}: not available: pip install {_missing(name)}")
    if len(given.part) > 1:  # one process a part: some counters leave torch patched
        for part in given.part:
            words = ["--net", given.net, "--rounds", str(given.rounds), "--part", part]
            words += ["--peers", *given.peers]
            subprocess.run([sys.executable, __file__, *words], check=True)
    elif given.part == ["memory"]:
        import_time()
        resident_growth()
        time_ledger()
    elif given.part == ["times"]:
        times(given.net, given.rounds, given.peers)
    else:
        training()
        closed_forms()


if __name__ == "__main__":
    main()
