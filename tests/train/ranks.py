"""The tests' processes that train together: the command line on few digits, forked and joined.

Reads one JSON line a trial from stdin: {"argv": [words] or [[words] for each rank], "size": n,
"started": ranks that are started, "env": {}, "signal": [rank, number, step] or null, "record":
folder or null, "limit": seconds, "hidden": n or null, "compare": "towers", "norm" or null,
"whole": all of the data and none of it in memory, "ordinary": without root's rights, "no_space_at":
n or null, "remove" or "close": [path, step] or null}; writes a JSON list with each rank's exit code
(minus the signal that ended it) and what it wrote to stdout and stderr.
"""

from __future__ import annotations

import copy
import gc
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch._dynamo  # an optimiser loads it

import convarium
from bakeoff.conftest import few_digits
from convarium import report
from convarium.bakeoff import single
from convarium.cli import main
from convarium.data import load
from convarium.nets import alexnet
from convarium.train import stepper
from convarium.train.batch_norm import synchronise
from convarium.train.launch import joined
from convarium.train.stepper import Stepper
from convarium.train.towers import Towers
from loaded_once import full_disk_from, give_up_rights


def child(trial: dict, rank: int, port: int) -> None:
    """Runs one rank's command line; never returns."""
    size = trial["size"]
    told = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size}
    told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    if size > 1:
        os.environ.update({name: str(value) for name, value in told.items()})
    os.environ.update(trial.get("env") or {})
    torch.set_num_threads(1)
    if trial.get("hidden"):
        alexnet.HIDDEN = trial["hidden"]
    if trial.get("signal") and trial["signal"][0] == rank:
        signal_at(*trial["signal"][1:])
    if trial.get("ordinary"):
        give_up_rights()
    if trial.get("no_space_at"):
        full_disk_from(trial["no_space_at"])
    if trial.get("whole"):
        single.load_dataset, load.MEMORY_BOUND = load.load_dataset, 0
    for what, act in (("remove", Path.unlink), ("close", partial(Path.chmod, mode=0o555))):
        if trial.get(what):
            path, step = trial[what]
            before_step(step, partial(act, Path(path)))
    if trial.get("record"):
        record(Path(trial["record"]) / f"{size}-{rank}")
    if trial.get("compare"):
        os._exit({"towers": compare_towers, "norm": compare_norm}[trial["compare"]]())
    argv = trial["argv"]
    os._exit(main(argv[rank] if isinstance(argv[0], list) else argv))


def compare_towers() -> int:
    """Prints how far one rank's tower is from the network that has both, in float64.

    The largest difference of logits and of gradients, as shares of the largest such number.
    """
    torch.manual_seed(0)
    whole = alexnet.AlexNet2GPU(num_classes=5).double().eval()
    images = torch.randn(3, 3, 227, 227, dtype=torch.float64)
    labels = torch.tensor([0, 3, 4])
    with joined(mode="towers", device="cpu") as world:
        half = Towers(copy.deepcopy(whole), world).model.eval()
        logits = [net(images) for net in (whole, half)]
        for answers in logits:
            torch.nn.functional.cross_entropy(answers, labels).backward()
    theirs = dict(whole.named_parameters())
    pairs = {name: (theirs[name].grad, p.grad) for name, p in half.named_parameters()}
    pairs["logits"] = (logits[0].detach(), logits[1].detach())
    print(
        json.dumps({k: float((b - a).abs().max() / a.abs().max()) for k, (a, b) in pairs.items()})
    )
    return 0


def compare_norm() -> int:
    """Prints how far batch norm over the ranks is from torch's on the whole batch, in float64."""
    torch.manual_seed(0)
    images, weights = torch.randn(2, 7, 3, 5, 5, dtype=torch.float64)
    nets = [torch.nn.Sequential(torch.nn.BatchNorm2d(3)).double() for _ in range(2)]
    with joined(device="cpu") as world:
        synchronise(nets[1])
        rows = world.slice(torch.arange(7))
        whole, part = (images[own].clone().requires_grad_() for own in (range(7), rows))
        answers = nets[0](whole), nets[1](part)
        (answers[0] * weights).sum().backward()
        (answers[1] * weights[rows]).sum().backward()
        pairs = {"answers": (answers[0][rows], answers[1]), "images": (whole.grad[rows], part.grad)}
        for (name, one), other in zip(
            nets[0].named_parameters(), nets[1].parameters(), strict=True
        ):
            pairs[name] = one.grad, world.total(other.grad)
    for (name, one), other in zip(nets[0].named_buffers(), nets[1].buffers(), strict=True):
        pairs[name] = one, other
    print(json.dumps({name: float((a - b).abs().max()) for name, (a, b) in pairs.items()}))
    return 0


def signal_at(number: int, at: int) -> None:
    """Sends this process a signal before step `at`."""
    before_step(at, partial(os.kill, os.getpid(), number))


def before_step(at: int, act: Callable[[], object]) -> None:
    """Lets something happen before step `at`."""
    real = Stepper.step

    def step(self: Stepper, *words: object, **more: object) -> bool:
        if words[2] == at:
            act()
        return real(self, *words, **more)

    Stepper.step = step


def record(place: Path) -> None:
    """Writes a line [step, ids] for each part of a batch that the network is shown."""
    real = stepper.masks_by_sample

    def masks(model: object, seed: int, step: int, ids: torch.Tensor) -> object:
        with place.open("a") as file:
            file.write(json.dumps([step, ids.tolist()]) + "\n")
        return real(model, seed, step, ids)

    stepper.masks_by_sample = masks


def run(trial: dict) -> list[dict]:
    """All ranks of one trial; those that do not end within the limit are killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = range(trial["size"]) if trial.get("started") is None else trial["started"]
    scratch = tempfile.TemporaryFile
    files = {rank: (scratch(), scratch()) for rank in ranks}
    pids = {}
    for rank in ranks:
        pids[rank] = os.fork()
        if pids[rank] == 0:
            for number, file in enumerate(files[rank], start=1):
                os.dup2(file.fileno(), number)
            sys.stdin.close()
            child(trial, rank, port)
    return [ended(pids[rank], files[rank], trial.get("limit", 60)) for rank in ranks]


def ended(pid: int, files: tuple, limit: float) -> dict:
    """One rank's end."""
    until = time.monotonic() + limit
    done, status = os.waitpid(pid, os.WNOHANG)
    while not done and time.monotonic() < until:
        time.sleep(0.02)
        done, status = os.waitpid(pid, os.WNOHANG)
    if not done:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    texts = []
    for file in files:
        file.seek(0)
        texts.append(file.read().decode())
        file.close()
    return {"code": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1]}


if __name__ == "__main__":
    single.load_dataset = few_digits
    report.write_run = lambda race, out: out / "report.html"  # charts take seconds
    few_digits("digits", side=32)  # loads what is loaded lazily
    import torch.distributed.fsdp
    import torch.nn.parallel

    convarium.measure_cost("lenet_caffe")

    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
