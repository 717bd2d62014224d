"""Finding a stage of a network by the paper's name."""

from __future__ import annotations

from torch import nn

from convarium.errors import UsageError, unknown_name
from convarium.nets.alexnet import AlexNet2GPU


def find_stage(model: nn.Module, name: str) -> list[tuple[str, nn.Module]]:
    """The module called `name`, by its whole path or its last word: "conv4_x", "fire5".

    Args:
        model: a network.
        name: such as "conv3_1", "inception_4e", "features.pool2".

    Returns:
        Path and module; in the two-GPU AlexNet that of each tower, so "conv2" gives two.

    Raises:
        UsageError: no module has that name, or several have it as their last word.
    """
    modules = {path: module for path, module in model.named_modules() if path}
    if name in modules:
        return [(name, modules[name])]
    found = [(p, m) for p, m in modules.items() if p.rpartition(".")[2] == name]
    if not found:
        words = dict.fromkeys(word for p in modules for word in (p.rpartition(".")[2], p))
        raise unknown_name("stage", name, [w for w in words if not w.isdigit()])
    towers = isinstance(model, AlexNet2GPU) and len(found) == 2
    if len(found) > 1 and not towers:
        some = ", ".join(path for path, _ in found[:3])
        raise UsageError(f"{len(found)} stages are called {name!r}: {some}; give the whole path.")
    return found


def in_order(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The children in the order in which they run: GoogLeNet's class lists its stem late."""
    return sorted(module.named_children(), key=lambda item: item[0] != "stem")
