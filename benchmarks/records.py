"""How long the answers over many records take: `compare`, the Tab key, and `data check`.

    python benchmarks/records.py [--records 1000] [--pictures FOLDER]

Writes so many results, each with a curve, a confusion matrix and twelve thumbnails as a race leaves
them, into a home of its own, and times the commands as a shell starts them: seconds from start to
exit, median of seven, and the span.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from convarium import list_models

TIMES, OF_A_RUN = 7, 4
PROGRAM = [sys.executable, "-c", "import sys; from convarium.cli import main; sys.exit(main())"]


def result(model: str, number: int) -> dict[str, Any]:
    """Numbers as a race on 360 digits has them; which they are does not matter."""
    right = 300 + number % 60
    numbers = {"top1_correct": right, "top1_total": 360, "top1_low": 0.8, "top1_high": 0.95}
    numbers |= {"params": 10_000 + 997 * number, "macs": 100_000 + 9_973 * number}
    numbers |= {"ms_batch1": 0.2 + number / 50, "megabytes": 0.1 + number / 9}
    curve = [{"epoch": e, "loss": 1 / e, "train_top1": 0.5, "seconds": e} for e in range(1, 31)]
    wrong = {"truth": 1, "predicted": 2, "probability": 0.9, "picture": "A" * 4000}
    return {
        **{"model": model, "status": "done", "seed": 0, "epochs": 30, "train_seconds": number},
        **numbers,
        **{"curve": curve, "confusion": [[3] * 10] * 10},
        "mistakes": [{"index": at, **wrong} for at in range(12)],
    }


def write_records(home: Path, count: int) -> None:
    """Runs of four networks each, on three data sets in turn."""
    names = itertools.cycle(list_models(task="classification"))
    (home / "runs").mkdir()
    for first in range(0, count, OF_A_RUN):
        run = f"20260101T{first:06}-{first:06x}"
        told = {"schema": "convarium/1", "run": run, "at": "2026-01-01T00:00:00+00:00"}
        data = ("digits", "photos", "cifar10")[first // OF_A_RUN % 3]
        start = {**told, "event": "start", "kind": "bakeoff", "data": data}
        events = [start | {"machine": {"processor": "Chip"}}]
        events += [
            {**told, "event": "result", "key": "k", "result": result(next(names), number)}
            for number in range(first, min(first + OF_A_RUN, count))
        ]
        events.append({**told, "event": "end", "status": "done"})
        lines = "".join(json.dumps(event) + "\n" for event in events)
        (home / "runs" / f"{run}.jsonl").write_text(lines, encoding="utf-8")


def timed(words: list[str], environment: dict[str, str], *, times: int = TIMES) -> str:
    """Median and span of a command's seconds."""
    seconds = []
    for _ in range(times):
        start = perf_counter()
        done = subprocess.run(
            [*PROGRAM, *words], env=os.environ | environment, capture_output=True, check=False
        )
        seconds.append(perf_counter() - start)
        if done.returncode not in (0, 1):  # 1: `data check` found what spoils a result
            sys.exit(done.stderr.decode())
    return f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}, n {times})"


def tab(line: str) -> dict[str, str]:
    """What bash asks when Tab is pressed at the end of a line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return {**words, "_CONVARIUM_COMPLETE": "complete_bash"}


def main() -> None:
    """Prints one line a command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--pictures", help="a folder for data check")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = {"CONVARIUM_HOME": folder}
        write_records(Path(folder), options.records)
        of = f"of {options.records:,} records"
        print(f"compare {of}, the first time: {timed(['compare'], home, times=1)}")
        print(f"compare {of}: {timed(['compare'], home)}")
        print(f"compare {of}, --json: {timed(['compare', '--json'], home)}")
        page = ["compare", "--html", str(Path(folder) / "page.html")]
        print(f"compare {of}, --html: {timed(page, home, times=3)}")
        print(f"Tab behind 'show resn': {timed([], home | tab('convarium show resn'))}")
        print(f"Tab behind 'compare 2026': {timed([], home | tab('convarium compare 2026'))}")
        if options.pictures:
            words = ["data", "check", options.pictures]
            print(f"data check {options.pictures}: {timed(words, home, times=3)}")


if __name__ == "__main__":
    main()
