"""Kills trainings with SIGKILL at random points, lets them go on, and compares the last bits.

python benchmarks/kills.py --points 200

Each trial is a `convarium train` in a process of its own, killed when it has reached a random
step, at a random moment of it, then started again. Prints how many ended in the undisturbed bits.
"2 ranks" trains with two processes that meet by gloo; one of them, by chance, is killed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import signal
import socket
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from convarium.bakeoff import single  # noqa: F401 - loaded once, before the processes part
from convarium.cli import main as convarium

MODES = {
    "fp32": ["--precision", "fp32"],
    "bf16": ["--precision", "bf16"],
    "accumulation": ["--precision", "fp32", "--micro-batch", "6"],
    "2 ranks": ["--precision", "fp32"],
}
RANKS = {"2 ranks": 2}  # of the modes that have several


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
        if ranks > 1:
            told = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank}
            told |= {"LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            os.environ.update({name: str(value) for name, value in told.items()})
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as said:
            code = convarium(argv)
        if code and "another process has ended" not in said.getvalue():
            sys.stderr.write(said.getvalue())
        os._exit(code)

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


def digest(out: Path) -> str:
    """Of the last weights."""
    return hashlib.sha256((out / "last.safetensors").read_bytes()).hexdigest()


def main() -> int:
    """Runs the trials and prints the table; 1 where any ended in other bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=10, help="kills in all")
    parser.add_argument("--steps", type=int, default=30, help="of each training")
    parser.add_argument("--network", default="lenet5")
    parser.add_argument("--set", action="append", default=[], help="fields of the recipe")
    asked = parser.parse_args()
    chance, wrong = random.Random(0), 0
    print(f"{'mode':<14}{'kills':>6}{'killed':>8}{'equal bits':>12}")
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        os.environ["CONVARIUM_HOME"] = str(Path(place) / "home")
        for number, (mode, options) in enumerate(MODES.items()):
            fields = ["batch=16", f"iterations={asked.steps}", "average=0.95", *asked.set]
            words = [asked.network, "--data", "digits", "--threads", "1", "--layout", "contiguous"]
            words += [*options, "--checkpoint-steps", "3"]
            words += [word for one in fields for word in ("--set", one)]
            whole = Path(place) / mode
            ranks = RANKS.get(mode, 1)
            if any(Run(words, whole, ranks).wait()):
                return 1
            points = len(range(number, asked.points, len(MODES)))
            killed = equal = 0
            for point in range(points):
                out = Path(place) / f"{mode}-{point}"
                at = chance.randrange(1, asked.steps)
                wait, rank = chance.uniform(0, 0.02), chance.randrange(ranks)
                killed += Run(words, out, ranks).kill(at, wait, rank)
                Run(words, out, ranks).wait()
                equal += digest(out) == digest(whole)
            wrong += points - equal
            print(f"{mode:<14}{points:>6}{killed:>8}{equal:>12}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
