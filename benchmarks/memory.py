"""Predicted peaks against the CPU allocator's own events, and what the tracing itself costs.

    python benchmarks/memory.py            a few networks
    python benchmarks/memory.py --all      15 networks x 3 batches x 3 optimizers x 2 precisions
    python benchmarks/memory.py --tracing  time beside torch's MemTracker, resident memory, import

A measured peak is that of a second training step, when the optimizer's state exists and the
gradients are None: bytes of parameters, buffers, state and inputs, and on top of them the most
that torch.profiler's memory events add up to. The forward and backward pass are measured once for
all optimizers, which do not touch them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile

import convarium

NETWORKS = """
    alexnet vgg11_bn squeezenet1_1 resnet18 resnet50 resnext50_32x4d wide_resnet50_2 densenet121
    googlenet mobilenet_v2 mobilenet_v3_small shufflenet_v2_x1_0 mnasnet1_0 efficientnet_b0
    regnet_y_400mf
    """.split()
FEW = "resnet18 squeezenet1_1 mobilenet_v2 densenet121".split()
SIDE = 64  # pixels
OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.01),
    "momentum": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
}


def build(name: str) -> nn.Module:
    extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    return torchvision.models.get_model(name, **extra).train()


def nbytes(values: Iterator[Tensor]) -> int:
    return sum({t.data_ptr(): t.untyped_storage().nbytes() for t in values}.values())


def peak_and_rest(prof: profile) -> tuple[int, int]:
    """The most bytes above the start, and those at the end, of a profiled run."""
    sizes: list[tuple[int, int]] = []
    results: Any = prof.profiler and prof.profiler.kineto_results
    open_events = list(results.experimental_event_tree())
    while open_events:
        event = open_events.pop()
        open_events += event.children
        if str(event.tag).endswith("Allocation"):
            sizes.append((event.start_time_ns, event.extra_fields.alloc_size))
    live = most = 0
    for _, size in sorted(sizes, key=lambda s: s[0]):  # stable: equal times keep their order
        live += size
        most = max(most, live)
    return most, live


def profiled() -> profile:
    return profile(activities=[ProfilerActivity.CPU], profile_memory=True)


def measure(name: str, batch: int, precision: str) -> dict[str, int]:
    """Peak of a real training step, by optimizer."""
    model, x = build(name), torch.rand(batch, 3, SIDE, SIDE)
    y = torch.zeros(batch, dtype=torch.long)
    half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
    with profiled() as passes:
        with half:
            loss = cross_entropy(model(x), y)
        loss.backward()
    most, rest = peak_and_rest(passes)
    base = nbytes(iter([*model.parameters(), *model.buffers(), x, y]))
    peaks = {}
    for key, make in OPTIMIZERS.items():
        optimizer = make(list(model.parameters()))
        optimizer.step()
        with profiled() as step:
            optimizer.step()
        state = [v for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v)]
        peaks[key] = base + nbytes(iter(state)) + max(most, rest + peak_and_rest(step)[0])
    return peaks


def compare(networks: list[str], batches: list[int]) -> None:
    errors = []
    print(f"{'network':20s} batch precision optimizer  measured   predicted  error phase")
    for name in networks:
        model = build(name)
        for batch in batches:
            for precision in ("fp32", "bf16"):
                for key, real in measure(name, batch, precision).items():
                    got = convarium.predict_memory(
                        model, (3, SIDE, SIDE), batch_size=batch, optimizer=key, precision=precision
                    )
                    error = 100 * (got.peak_bytes / real - 1)
                    errors.append(abs(error))
                    print(
                        f"{name:20s} {batch:5d} {precision:9s} {key:9s} {real:11,d} "
                        f"{got.peak_bytes:11,d} {error:+6.3f}% {got.phase}",
                        flush=True,
                    )
    print(
        f"{len(errors)} steps: median {statistics.median(errors):.3f} %, worst {max(errors):.3f} %"
    )


def time_ledger() -> None:
    """Seconds for one step of densenet121: ours, then torch's MemTracker on fake tensors."""
    model = build("densenet121")
    for batch in (2, 32):
        start = time.perf_counter()
        convarium.predict_memory(model, (3, 224, 224), batch_size=batch, optimizer="adam")
        print(f"densenet121, batch {batch}: predict_memory {time.perf_counter() - start:.2f} s")
    start = time.perf_counter()
    mem_tracker_step()
    print(f"densenet121, batch 32: MemTracker {time.perf_counter() - start:.2f} s")


def mem_tracker_step() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    with FakeTensorMode():
        model = build("densenet121")
        optimizer = torch.optim.Adam(model.parameters())
        tracker = MemTracker()
        tracker.track_external(model, optimizer)
        with tracker:
            x, y = torch.rand(32, 3, 224, 224), torch.zeros(32, dtype=torch.long)
            cross_entropy(model(x), y).backward()
            optimizer.step()


def resident_growth() -> None:
    """Peak resident memory of a resnet152 count above what stood before it."""
    with torch.device("meta"):
        small, large = torchvision.models.resnet18(), torchvision.models.resnet152()
    convarium.measure_cost(small, (3, 224, 224))
    before = status_kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
    convarium.measure_cost(large, (3, 224, 224))
    grown = status_kib("VmHWM") - before
    print(f"resnet152: measure_cost grows resident memory by {grown / 1024:.1f} MiB")


def status_kib(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


IMPORTS = {
    "convarium.cost, convarium.measure_cost": "import convarium.cost; convarium.measure_cost",
    "all that a count loads": "import convarium; convarium.measure_cost; "
    "import convarium.cost.report",
}


def import_time(rounds: int = 15) -> None:
    """Milliseconds that imports add to torch's, in fresh processes that take turns."""
    runs: dict[str, list[float]] = {name: [] for name in IMPORTS}
    with tempfile.TemporaryDirectory() as cache:  # compiled once, as an installed package is
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPYCACHEPREFIX"] = cache
        for turn in range(rounds + 1):
            for name, words in IMPORTS.items():
                code = (
                    f"import torch, time; start = time.perf_counter(); {words};"
                    "print(1000 * (time.perf_counter() - start))"
                )
                command = [sys.executable, "-c", code]
                out = subprocess.run(command, env=env, capture_output=True, check=True).stdout
                if turn > 0:
                    runs[name].append(float(out))
    for name, laps in runs.items():
        low, middle, high = statistics.quantiles(laps, n=4)
        print(
            f"import of {name} over torch: median {middle:.1f} ms, quartiles {low:.1f} to "
            f"{high:.1f} ms, best {min(laps):.1f} ms of {len(laps)} processes"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="15 networks, batches 1, 4, 16")
    parser.add_argument("--tracing", action="store_true", help="what the tracing itself costs")
    parser.add_argument("--networks", nargs="+", help="these alone")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.tracing:
        import_time()
        resident_growth()
        time_ledger()
        return
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, pictures of {SIDE}x{SIDE}"
    )
    whole = NETWORKS if options.all else FEW
    compare(options.networks or whole, [1, 4, 16] if options.all else [1, 4])


if __name__ == "__main__":
    main()
