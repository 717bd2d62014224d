"""Logs of runs whose numbers are chosen by hand, for tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from convarium.files import home
from convarium.records import rebuild

# 90 and 95 of 100: Wilson intervals are worked out in the tests that look at them.
NUMBERS: dict[str, Any] = {
    "status": "done",
    "seed": 0,
    "epochs": 1,
    "top1_correct": 90,
    "top1_total": 100,
    "top1_low": 0.8256,
    "top1_high": 0.9448,
    "params": 60_000,
    "macs": 400_000,
    "megabytes": 0.24,
    "ms_batch1": 0.5,
    "train_seconds": 8.0,
}


def events_of(
    run: str, *results: dict[str, Any], data: str = "digits", at: str = "2026-03-01T12:00:00+00:00"
) -> list[dict[str, Any]]:
    """A run's events; each result needs its model and what differs from NUMBERS."""
    told = {"schema": "convarium/1", "run": run, "at": at}
    start = {"event": "start", "kind": "bakeoff", "data": data, "machine": {"processor": "Chip"}}
    lines = [{**told, **start}]
    lines += [
        {**told, "event": "result", "key": "k", "result": {**NUMBERS, **result}}
        for result in results
    ]
    return [*lines, {**told, "event": "end", "status": "done"}]


def write_log(path: Path, events: list[dict[str, Any]]) -> None:
    """Events as a log, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")


def keep(*runs: list[dict[str, Any]]) -> Path:
    """Runs as the records of the user's home, which is given back."""
    for events in runs:
        write_log(home() / "runs" / f"{events[0]['run']}.jsonl", events)
    rebuild()
    return home()
