"""Where to compute: the processor, or one of the GPUs that torch can use here."""

from __future__ import annotations

import torch
from torch import Tensor

from convarium.errors import UsageError
from convarium.machine.describe import processor


def default_device() -> str:
    """ "cuda", the GPU that is torch's current one, where there is any; else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def known_device(name: str) -> str:
    """`name`, if it is "cpu", "cuda" or "cuda:N" and torch can use that here.

    Raises:
        UsageError: torch cannot use it, or there is no such device.

    >>> known_device("cpu:0")
    'cpu'
    """
    kind, colon, number = name.partition(":")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = {"cpu": 1, "cuda": count}.get(kind, 0)
    if (colon and not number.isdecimal()) or int(number or 0) >= there:
        have = ", ".join(["cpu", *(f"cuda:{index}" for index in range(count))])
        raise UsageError(f"torch has no {name!r} here, only {have}.")
    return "cpu" if kind == "cpu" else name


def device_label(device: str) -> str:
    """What the device is: the processor's or the GPU's own name."""
    return processor() if device == "cpu" else torch.cuda.get_device_name(device)


def sent(tensor: Tensor, device: str | torch.device) -> Tensor:
    """`tensor` on the device. Nobody waits: a copy to a GPU goes beside what both do.

    What the GPU computes with it comes behind the copy. A plain `.to` waits until the GPU has done
    all that it was given before.
    """
    device = torch.device(device)
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize(device)
