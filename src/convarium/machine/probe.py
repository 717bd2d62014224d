"""The speed probe: which layout, precision and threads train a network fastest here.

Measured once; the choice is kept per machine, torch version and network, so that a run repeats with
it. Small networks, and machines whose cores others use too, are often faster on one thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import torch

from convarium.errors import ConvariumError
from convarium.files import home, written_whole
from convarium.machine.describe import available_cores
from convarium.machine.devices import default_device, device_label
from convarium.machine.plan import LAYOUTS, PRECISIONS, Plan
from convarium.machine.stopwatch import laps_in_turns, summarise

SECONDS = (1.0, 0.4)  # for layout and precision, then for threads
TURN = 0.05  # seconds at least that a plan keeps its turn
BEHIND = 1.3  # a plan so many times slower than the fastest gets no second turn
# Another precision or layout is taken for a step that is shorter by 2 %, fewer threads for 5 %.
WORTH = (0.98, 0.95)
Step = Callable[[], object]


def choose_plan(
    network: str,
    make_step: Callable[[Plan], Step],
    *,
    threads: int | None = None,
    layout: str | None = None,
    precision: str | None = None,
    device: str | None = None,
) -> Plan:
    """The fastest plan for a network: a kept choice, else a measurement of about two seconds.

    Args:
        network: name and input shape; the key under which the choice is kept.
        make_step: gives one training step under a plan; its model is its own.
        threads: cores to use; one or all that this process may use when None.
        layout: fixed by the user when not None.
        precision: fixed by the user when not None.
        device: to run on; a GPU where torch can use one when None.

    Raises:
        UsageError: a layout, precision or number of threads that does not exist.
    """
    default = Plan(
        threads or available_cores(),
        layout or LAYOUTS[0],
        precision or PRECISIONS[0],
        "the user",
        device or default_device(),
    )
    if layout and precision:
        return default
    free = {
        "layout": (layout,) if layout else LAYOUTS,
        "precision": (precision,) if precision else PRECISIONS,
        "threads": (threads,) if threads else _thread_counts(default),
    }
    key = _key(network, default, free)
    kept = _kept().get(key)
    if kept is not None and _is_choice(kept, free):
        return replace(default, **kept["choice"], chosen_by=kept["chosen_by"])
    best, chosen_by = _measure(default, make_step, free)
    choice = {"layout": best.layout, "precision": best.precision, "threads": best.threads}
    _keep(key, {"choice": choice, "chosen_by": chosen_by})
    return replace(best, chosen_by=chosen_by)


def _thread_counts(plan: Plan) -> tuple[int, ...]:
    """All cores first: a tie goes to them."""
    return (plan.threads, 1) if plan.device == "cpu" and plan.threads > 1 else (plan.threads,)


def _measure(
    default: Plan, make_step: Callable[[Plan], Step], free: dict[str, tuple[Any, ...]]
) -> tuple[Plan, str]:
    """Layout and precision on all threads first, then the number of threads."""
    formats = [
        replace(default, layout=layout, precision=precision)
        for precision in free["precision"]
        for layout in free["layout"]
    ]
    best, shown = _fastest(formats, make_step, SECONDS[0], worth=WORTH[0])
    counts = [replace(best, threads=threads) for threads in free["threads"]]
    if len(counts) > 1:
        best, more = _fastest(counts, make_step, SECONDS[1], worth=WORTH[1])
        shown = f"{shown}; {more}"
    return best, f"probe: {shown}"


def _fastest(
    plans: list[Plan], make_step: Callable[[Plan], Step], seconds: float, *, worth: float
) -> tuple[Plan, str]:
    """The plan with the least time of a step, and all medians in words.

    Another than the first must come to less than `worth` times the first's.
    """
    names = {f"{p.precision} {p.layout} {p.threads} threads": p for p in plans}
    laps = _laps({name: _under(plan, make_step(plan)) for name, plan in names.items()}, seconds)
    times = {name: summarise(values) for name, values in laps.items()}
    shown = ", ".join(f"{name} {times[name].median * 1e3:.1f} ms" for name in names)
    # The least time is the one that others on the machine disturbed least.
    first, *others = names
    best = min(others, key=lambda name: times[name].least, default=first)
    gained = times[best].least < worth * times[first].least
    return names[best if gained else first], shown


def _laps(steps: dict[str, Step], seconds: float) -> dict[str, list[float]]:
    """Seconds of the steps in two rounds or more, each plan a few in a row.

    The first step of a turn only warms up: it finds another plan's data in the caches and costs
    up to half as much again, which would drown the differences that are looked for.
    """
    laps: dict[str, list[float]] = {name: [] for name in steps}
    begin = time.perf_counter()
    rounds = 0
    while rounds < 2 or time.perf_counter() - begin < seconds:
        rounds += 1
        fastest = min((min(values) for values in laps.values() if values), default=inf)
        for name, step in steps.items():
            if not laps[name] or min(laps[name]) <= BEHIND * fastest:
                laps[name] += laps_in_turns({name: step}, seconds=TURN, least=1)[name]
    return laps


def _under(plan: Plan, step: Step) -> Step:
    def run() -> None:
        with plan.settings():
            step()

    return run


def _key(network: str, plan: Plan, free: dict[str, tuple[Any, ...]]) -> str:
    words = "/".join(str(values[0]) for values in free.values() if len(values) == 1) or "free"
    device = device_label(plan.device)
    return f"{device} | {plan.threads} cores | torch {torch.__version__} | {network} | {words}"


def _file() -> Path:
    return home() / "probe.json"


def _kept() -> dict[str, Any]:
    """The kept choices; none where the file is missing or damaged: they can be measured again."""
    try:
        read = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    choices = read.get("choices") if isinstance(read, dict) else None
    return choices if isinstance(choices, dict) else {}


def _is_choice(kept: Any, free: dict[str, tuple[Any, ...]]) -> bool:
    if not isinstance(kept, dict) or not isinstance(kept.get("chosen_by"), str):
        return False
    choice = kept.get("choice")
    return (
        isinstance(choice, dict)
        and set(choice) == set(free)
        and all(choice[what] in values for what, values in free.items())
    )


def _keep(key: str, value: dict[str, Any]) -> None:
    choices = _kept() | {key: value}
    # A home that cannot be written costs two seconds next time, not this run.
    with suppress(ConvariumError), written_whole(_file()) as temporary:
        text = json.dumps({"schema": "convarium/1", "choices": choices}, indent=1)
        temporary.write_text(text, encoding="utf-8")
