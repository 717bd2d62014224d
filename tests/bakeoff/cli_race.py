"""The tests' child processes: the command line on few digits, forked so that torch loads once.

Reads one JSON line a trial from stdin: {"argv": [...], "env": {...}, "signal": n or null,
"after": seconds, "fsize": bytes or null, "no_space_at": n or null, "busy": seconds or null,
"ordinary": without root's rights}; writes one JSON line with its exit code (minus the signal that
ended it), and what it wrote to stdout and stderr.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import tempfile
import time

import torch
import torch._dynamo  # an optimiser loads it

import convarium
from bakeoff.conftest import few_digits
from convarium import report
from convarium.bakeoff import race, single, speed
from convarium.cli import main
from convarium.records import database
from loaded_once import full_disk_from, give_up_rights


def child(trial: dict) -> None:
    """Runs the command line; never returns."""
    os.environ.update(trial.get("env") or {})
    torch.set_num_threads(1)
    if trial.get("fsize"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (trial["fsize"], trial["fsize"]))
    if trial.get("busy"):
        database.BUSY_SECONDS = trial["busy"]
    if trial.get("no_space_at"):
        full_disk_from(trial["no_space_at"])
    if trial.get("ordinary"):
        give_up_rights()
    os._exit(main(trial["argv"]))


def run(trial: dict) -> dict:
    """One forked command line."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdin.close()
            child(trial)
        if trial.get("signal"):
            time.sleep(trial["after"])
            os.kill(pid, trial["signal"])
        _, status = os.waitpid(pid, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return {"code": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1]}


if __name__ == "__main__":
    race.load_dataset = few_digits
    single.load_dataset = few_digits
    speed.SECONDS = 0.005
    report.write_report = lambda race, out: out / "report.html"  # charts take seconds
    few_digits("digits", side=32)  # loads what is loaded lazily
    convarium.measure_cost("lenet5")
    gc.freeze()  # a child's collector need not copy all that was loaded
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
