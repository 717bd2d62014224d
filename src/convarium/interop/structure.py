"""Networks of one set of names and shapes that compute different things, told apart.

A plain network and its residual one with option A, a stride in the 1x1 or in the 3x3, a network
with response normalisation and without: their state dicts fit each other. A file of ours says
whose weights it holds.
"""

from __future__ import annotations

import torch
from torch import nn

from convarium import catalog
from convarium.errors import UsageError
from convarium.nets.build import build

_GEOMETRY = ("stride", "padding", "dilation", "groups")


def structure_problem(model: nn.Module, network: str | None) -> str | None:
    """The first module in which `model` is not `network`, in words; None where there is none.

    Rates of dropout, epsilons, numbers of classes and of input channels are no difference.

    Args:
        model: a network of ours.
        network: the name of another, as a file says it; any word, or None.
    """
    if network is None or network == getattr(model, "catalog_name", None):
        return None
    try:
        name = catalog.find(network).name
    except UsageError:
        return None
    with torch.device("meta"):
        other = build(name)
    ours, theirs = _modules(model), _modules(other)
    for path in dict.fromkeys([*theirs, *ours]):
        here, there = ours.get(path, "none"), theirs.get(path, "none")
        if here != there:
            return f"{path} is {there} in {name} and {here} here"
    return None


def _modules(model: nn.Module) -> dict[str, str]:
    """What each module does beside its weights, by its path."""
    found = {}
    for path, module in model.named_modules():
        if path and not isinstance(module, nn.modules.dropout._DropoutNd):
            found[path] = _words(module)
    return found


def _words(module: nn.Module) -> str:
    if isinstance(module, nn.BatchNorm2d):
        return "BatchNorm2d"
    kind = type(module).__name__
    if isinstance(module, nn.Linear) or next(module.children(), None) is not None:
        return kind
    if isinstance(module, nn.Conv2d):
        told = [f"{key} {_short(getattr(module, key))}" for key in _GEOMETRY]
        return f"{kind} of {', '.join(told)}"
    return f"{kind}({module.extra_repr()})"


def _short(value: object) -> str:
    is_even = isinstance(value, tuple) and len(set(value)) == 1
    return str(value[0] if is_even and isinstance(value, tuple) else value)
