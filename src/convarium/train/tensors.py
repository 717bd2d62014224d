"""The tensors of a run as a checkpoint names them, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from convarium.train.optimizers import Polyak


def run_tensors(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    mean: Polyak | None,
    best: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Everything that a checkpoint needs; shares the run's memory.

    "model/KEY", "optimizer/PARAMETER/what" and, where there is a Polyak mean, "mean/PARAMETER";
    "best/KEY" of the state that is to be tested, where it is not the last one.
    """
    names: dict[Tensor, str] = {p: name for name, p in model.named_parameters()}
    found = {f"model/{key}": t for key, t in model.state_dict().items()}
    for p, state in optimizer.state.items():
        tensors = {what: t for what, t in state.items() if isinstance(t, Tensor)}
        found |= {f"optimizer/{names[p]}/{what}": t for what, t in tensors.items()}
    if mean is not None:
        found |= {f"mean/{name}": t for name, t in mean.mean.items()}
    return found | {f"best/{key}": t for key, t in (best or {}).items()}


def restore_run(
    tensors: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    mean: Polyak | None,
) -> dict[str, Tensor] | None:
    """Puts back what `run_tensors` gave, laid out as the model and the mean are; gives the best."""
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "mean": {}, "best": {}}
    for name, tensor in tensors.items():
        part, rest = name.split("/", 1)
        parts[part][rest] = tensor
    model.load_state_dict(parts["model"])
    parameters = dict(model.named_parameters())
    for name, tensor in parts["optimizer"].items():
        parameter, what = name.rsplit("/", 1)
        p = parameters[parameter]
        # A count of steps is a number on the CPU; the others have the parameter's shape.
        alike = tensor.shape == p.shape and p.dim() > 0
        optimizer.state[p][what] = torch.empty_like(p.data).copy_(tensor) if alike else tensor
    if mean is not None:
        for name, tensor in mean.mean.items():
            tensor.copy_(parts["mean"][name])
    return parts["best"] or None
