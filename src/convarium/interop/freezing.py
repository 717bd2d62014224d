"""Keeping the first stages of a network as they are while the rest trains."""

from __future__ import annotations

from torch import nn

from convarium.interop.stages import find_stage, in_order


class FrozenBatchNorm(nn.BatchNorm2d):
    """A batch norm that stays in eval mode: it normalises by its statistics and keeps them."""

    def train(self, mode: bool = True) -> FrozenBatchNorm:
        super().train(False)
        return self


def freeze(model: nn.Module, stage: str) -> int:
    """Fixes every parameter from the picture to the end of `stage`; gives how many numbers.

    Batch norms among them keep their statistics too, whatever mode the model is set to. The keys
    of the state dict stay.

    Args:
        model: a network.
        stage: the paper's name of the last stage to fix, such as "conv3_x" or "inception_4e".

    Raises:
        UsageError: no such stage, or several.
    """
    frozen = 0
    paths = [path for path, _ in find_stage(model, stage)]
    for module in _up_to(model, "", paths):
        for parameter in module.parameters():
            if parameter.requires_grad:
                frozen += parameter.numel()
                parameter.requires_grad_(False)
        for part in module.modules():
            if type(part) is nn.BatchNorm2d:
                part.__class__ = FrozenBatchNorm
                part.eval()
    return frozen


def _up_to(module: nn.Module, prefix: str, paths: list[str]) -> list[nn.Module]:
    """The modules before those of `paths` and these; towers side by side are not before another."""
    found: list[nn.Module] = []
    holds = [name for name, _ in in_order(module) if _leads(f"{prefix}{name}", paths)]
    for name, child in in_order(module):
        path = f"{prefix}{name}"
        if path in paths:
            found.append(child)
        elif name in holds:
            found += _up_to(child, f"{path}.", paths)
        else:
            found.append(child)
            continue
        if name == holds[-1]:
            break
    return found


def _leads(path: str, paths: list[str]) -> bool:
    return any(one == path or one.startswith(f"{path}.") for one in paths)
