"""The speed probe: which layout and precision train a network fastest here, measured once.

The choice is kept per machine, torch version and network, so that a run repeats with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from convarium.errors import ConvariumError
from convarium.files import home, written_whole
from convarium.machine.describe import available_cores, processor
from convarium.machine.plan import LAYOUTS, PRECISIONS, Plan
from convarium.machine.stopwatch import interleaved

SECONDS = 2.0
Step = Callable[[], object]


def choose_plan(
    network: str,
    make_step: Callable[[Plan], Step],
    *,
    threads: int | None = None,
    layout: str | None = None,
    precision: str | None = None,
) -> Plan:
    """The fastest plan for a network: a kept choice, else a measurement of about two seconds.

    Args:
        network: name and input shape; the key under which the choice is kept.
        make_step: gives one training step under a plan; its model is its own.
        threads: cores to use; all that this process may use when None.
        layout: fixed by the user when not None.
        precision: fixed by the user when not None.

    Raises:
        UsageError: a layout, precision or number of threads that does not exist.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    default = Plan(
        threads or available_cores(),
        layout or LAYOUTS[0],
        precision or PRECISIONS[0],
        "the user",
        device,
    )
    if layout and precision:
        return default
    key = _key(network, default, layout, precision)
    kept = _kept().get(key)
    if kept is not None and _is_choice(kept, layout, precision):
        return replace(default, **kept["choice"], chosen_by=kept["chosen_by"])
    return _measure(key, default, make_step, layout, precision)


def _measure(
    key: str,
    default: Plan,
    make_step: Callable[[Plan], Step],
    layout: str | None,
    precision: str | None,
) -> Plan:
    candidates = {
        f"{one_precision} {one_layout}": replace(
            default, layout=one_layout, precision=one_precision
        )
        for one_precision in ((precision,) if precision else PRECISIONS)
        for one_layout in ((layout,) if layout else LAYOUTS)
    }
    with default.settings():
        steps = {name: make_step(plan) for name, plan in candidates.items()}
        times = interleaved(steps, seconds=SECONDS, least=2, warmup=1)
    name = min(times, key=lambda candidate: times[candidate].median)
    best = candidates[name]
    shown = ", ".join(f"{other} {times[other].median * 1e3:.1f} ms" for other in candidates)
    chosen_by = f"probe of {times[name].n} steps each: {shown}"
    _keep(
        key,
        {
            "choice": {"layout": best.layout, "precision": best.precision},
            "chosen_by": chosen_by,
        },
    )
    return replace(best, chosen_by=chosen_by)


def _key(network: str, plan: Plan, layout: str | None, precision: str | None) -> str:
    device = torch.cuda.get_device_name() if plan.device == "cuda" else processor()
    fixed = "/".join(word for word in (layout, precision) if word) or "free"
    return f"{device} | {plan.threads} threads | torch {torch.__version__} | {network} | {fixed}"


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


def _is_choice(kept: Any, layout: str | None, precision: str | None) -> bool:
    if not isinstance(kept, dict) or not isinstance(kept.get("chosen_by"), str):
        return False
    choice = kept.get("choice")
    return (
        isinstance(choice, dict)
        and set(choice) == {"layout", "precision"}
        and choice["layout"] in ((layout,) if layout else LAYOUTS)
        and choice["precision"] in ((precision,) if precision else PRECISIONS)
    )


def _keep(key: str, value: dict[str, Any]) -> None:
    choices = _kept() | {key: value}
    # A home that cannot be written costs two seconds next time, not this run.
    with suppress(ConvariumError), written_whole(_file()) as temporary:
        text = json.dumps({"schema": "convarium/1", "choices": choices}, indent=1)
        temporary.write_text(text, encoding="utf-8")
