"""Kills trainings with SIGKILL at random points, lets them go on, and compares the last bits.

python benchmarks/kills.py --points 200 [--jobs 2] > docs/kills.md

Each trial is a `convarium train` in a process of its own, killed when it has reached a random
step, at a random moment of it, then started again; the bits of its last.safetensors are compared
with those of a training that was left alone. The processes part from one that has torch loaded
already, and write no page for the browser. "2 ranks" trains with two processes that meet by gloo;
one of them, by chance, is killed. Prints a page in Markdown; exit code 1 where any bits differ.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
import torch.distributed.fsdp

from convarium import report
from convarium.bakeoff import single  # noqa: F401 - likewise
from convarium.cli import main as convarium
from convarium.data import load_dataset
from convarium.machine.describe import processor

MODES = {
    "fp32": ["--precision", "fp32"],
    "bf16": ["--precision", "bf16"],
    "accumulation (micro-batch 6 of 16)": ["--precision", "fp32", "--micro-batch", "6"],
    "2 gloo ranks, one killed": ["--precision", "fp32"],
}
RANKS = {"2 gloo ranks, one killed": 2}  # of the modes that have several


@dataclass(frozen=True)
class Trial:
    """One training that is killed, and where."""

    mode: str
    number: int
    at: int  # the step behind whose checkpoint it is killed
    wait: float  # seconds from there
    rank: int


@dataclass(frozen=True)
class Outcome:
    """What came of a trial."""

    mode: str
    killed: bool
    behind: int  # the step from which it went on
    exact: bool
    equal: bool


class Run:
    """One training in `ranks` processes."""

    def __init__(self, words: list[str], out: Path, ranks: int = 1) -> None:
        self.out = out
        argv = ["train", *words, "--out", str(out), "--json"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.pids = [self._started(argv, rank, ranks, port) for rank in range(ranks)]

    def _started(self, argv: list[str], rank: int, ranks: int, port: int) -> int:
        child = os.fork()
        if child:
            return child
        os.environ["CONVARIUM_HOME"] = str(self.out.with_name(f"{self.out.name}-home"))
        if ranks > 1:
            told: dict[str, object] = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank}
            told |= {"LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            os.environ.update({name: str(value) for name, value in told.items()})
        said, told_at = self._place("said", rank), self._place("told", rank)
        with (
            told_at.open("w") as out,
            said.open("w") as err,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = convarium(argv)
        if code and "another process has ended" not in said.read_text():
            sys.stderr.write(said.read_text())
        os._exit(code)

    def _place(self, what: str, rank: int) -> Path:
        return self.out.with_name(f"{self.out.name}-{what}-{rank}")

    def kill(self, at: int, wait: float, rank: int) -> bool:
        """Kills one process some time behind step `at`; True where it was still running."""
        pid = self.pids[rank]
        while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            steps = [int(p.stem.split("-")[1]) for p in self.out.glob("checkpoints/step-*.json")]
            if max(steps, default=0) >= at:
                time.sleep(wait)
                os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.001)
        return signal.SIGKILL in self.wait()

    def wait(self) -> list[int]:
        """The wait status of each process."""
        return [os.waitpid(pid, 0)[1] for pid in self.pids]

    def digest(self) -> str:
        """Of the last weights."""
        return hashlib.sha256((self.out / "last.safetensors").read_bytes()).hexdigest()

    def told(self) -> dict[str, Any]:
        """What the finished command printed."""
        return dict(json.loads(self._place("told", 0).read_text()))


def words_of(mode: str, asked: argparse.Namespace) -> list[str]:
    """The command line of a mode, behind `train`."""
    fields = ["batch=16", f"iterations={asked.steps}", "average=0.95", *asked.set]
    words = [asked.network, "--data", "digits", "--threads", "1", "--layout", "contiguous"]
    words += [*MODES[mode], "--checkpoint-steps", "3"]
    return words + [word for one in fields for word in ("--set", one)]


def drawn(points: int, steps: int) -> list[Trial]:
    """The modes in turns; where each is killed is drawn with a fixed seed."""
    chance, modes, trials = random.Random(0), list(MODES), []
    for number in range(points):
        mode = modes[number % len(modes)]
        at, wait = chance.randrange(1, steps), chance.uniform(0, 0.02)
        trials.append(Trial(mode, number, at, wait, chance.randrange(RANKS.get(mode, 1))))
    return trials


def tried(place: Path, asked: argparse.Namespace, wanted: dict[str, str], trial: Trial) -> Outcome:
    """Kills one training, lets it go on, and compares."""
    out, ranks = place / f"trial-{trial.number}", RANKS.get(trial.mode, 1)
    words = words_of(trial.mode, asked)
    killed = Run(words, out, ranks).kill(trial.at, trial.wait, trial.rank)
    again = Run(words, out, ranks)
    if any(again.wait()):
        return Outcome(trial.mode, killed, 0, exact=False, equal=False)
    told = again.told()
    equal = again.digest() == wanted[trial.mode]
    return Outcome(trial.mode, killed, int(told["resumed_from_step"]), told["exact"] is True, equal)


def undisturbed(place: Path, asked: argparse.Namespace, mode: str) -> tuple[str, str]:
    """The mode, and the bits of its training that is left alone."""
    whole = Run(
        words_of(mode, asked), place / f"whole-{list(MODES).index(mode)}", RANKS.get(mode, 1)
    )
    if any(whole.wait()):
        raise SystemExit(f"{mode} does not train")
    return mode, whole.digest()


def page(outcomes: Sequence[Outcome], asked: argparse.Namespace, seconds: float) -> str:
    """The table and how it came about, in Markdown."""
    rows = []
    for mode in MODES:
        own = [o for o in outcomes if o.mode == mode]
        later = sum(o.killed and o.behind > 0 for o in own)
        counts = (sum(o.killed for o in own), later, sum(o.exact for o in own))
        rows.append((mode, [len(own), *counts, sum(o.equal for o in own)]))
    rows.append(("all", [sum(column) for column in zip(*(c for _, c in rows), strict=True)]))
    lines = [f"| {mode} | {' | '.join(map(str, counted))} |" for mode, counted in rows]
    command = f"python benchmarks/kills.py --points {asked.points} --jobs {asked.jobs}"
    return f"""# Kills

What `{command}` printed in {seconds / 60:.1f} minutes: {processor()},
{os.cpu_count()} cores, torch {torch.__version__}. Each point is a `convarium train {asked.network}`
of {asked.steps} steps on the digits, killed with SIGKILL at a random moment and started again.

| mode | points | killed in time | went on from a checkpoint | exact | equal bits |
|---|--:|--:|--:|--:|--:|
{chr(10).join(lines)}

A training that ended before its kill counts too: it is then found finished. One that was killed
before its first checkpoint starts anew.
"""


def main() -> int:
    """Runs the trials and prints the page; 1 where any ended in other bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=12, help="kills in all")
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time")
    parser.add_argument("--steps", type=int, default=30, help="of each training")
    parser.add_argument("--network", default="lenet5")
    parser.add_argument("--set", action="append", default=[], help="fields of the recipe")
    asked = parser.parse_args()
    begin = time.monotonic()
    report.write_run = lambda race, out: out / "report.html"
    load_dataset("digits", side=32)  # what it needs is loaded before the processes part
    torch.set_num_threads(1)
    gc.freeze()
    context = get_context("fork")
    with (
        tempfile.TemporaryDirectory(prefix="kills-") as folder,
        ProcessPoolExecutor(asked.jobs, mp_context=context) as pool,
    ):
        place = Path(folder)
        wanted = dict(pool.map(partial(undisturbed, place, asked), MODES))
        trial = partial(tried, place, asked, wanted)
        outcomes = list(pool.map(trial, drawn(asked.points, asked.steps)))
    print(page(outcomes, asked, time.monotonic() - begin), end="")
    return int(not all(outcome.equal for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
