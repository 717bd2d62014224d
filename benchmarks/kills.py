"""Kills trainings with SIGKILL at random points, lets them go on, and compares the last bits.

python benchmarks/kills.py --points 200

Each trial is a `convarium train` in a process of its own, killed when it has reached a random
step, at a random moment of it, then started again. Prints how many ended in the undisturbed bits.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import signal
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
}


def run(words: list[str], out: Path, kill_at: int | None = None, wait: float = 0.0) -> int:
    """Trains in a process of its own; kills it behind step `kill_at`. Its wait status."""
    child = os.fork()
    if child == 0:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as said:
            code = convarium(["train", *words, "--out", str(out), "--json"])
        if code:
            sys.stderr.write(said.getvalue())
        os._exit(code)
    while kill_at is not None:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        steps = [int(path.stem.split("-")[1]) for path in out.glob("checkpoints/step-*.json")]
        if max(steps, default=0) >= kill_at:
            time.sleep(wait)
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.001)
    return os.waitpid(child, 0)[1]


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
            if run(words, whole):
                return 1
            points = len(range(number, asked.points, len(MODES)))
            killed = equal = 0
            for point in range(points):
                out = Path(place) / f"{mode}-{point}"
                at = chance.randrange(1, asked.steps)
                killed += run(words, out, at, chance.uniform(0, 0.02)) == signal.SIGKILL
                run(words, out)
                equal += digest(out) == digest(whole)
            wrong += points - equal
            print(f"{mode:<14}{points:>6}{killed:>8}{equal:>12}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
