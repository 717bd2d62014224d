"""From a row of the catalog to the network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from importlib import import_module
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from convarium import catalog
from convarium.errors import UsageError

_PLACED = ("in_channels", "num_classes")  # given by the data


def build(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """The network called `name`, or by that alias, with the paper's initial values.

    Args:
        name: a row of the catalog or an alias.
        num_classes: outputs of the classifier; the paper's number when None.
        in_channels: channels of the input picture; the paper's number when None.
        options: of the family's class, such as a dropout rate, instead of the row's.

    Raises:
        UsageError: no such network, or an argument that it does not take.
    """
    row = catalog.find(name)
    given = dict(row.options)
    for key, value in (("num_classes", num_classes), ("in_channels", in_channels)):
        if value is None:
            continue
        if value < 1:
            raise UsageError(f"{row.name}: {key} must be at least 1, not {value}.")
        given[key] = value
    if row.task == "features" and num_classes is not None:
        raise UsageError(f"{row.name} gives a feature map: it takes no num_classes.")
    module, builder = row.builder.split(":")
    make = getattr(import_module(f"convarium.nets.{module}"), builder)
    for key, value in (options or {}).items():
        known = [name for name in signature(make).parameters if name not in _PLACED]
        if key not in known:
            takes = ", ".join(known) or "none"
            raise UsageError(f"{row.name} takes no option {key!r}. Its options: {takes}.")
        given[key] = value
    with NoFills() if torch.get_default_device().type == "meta" else nullcontext():
        network: nn.Module = make(**given)
    return network


class NoFills(TorchDispatchMode):
    """Passes over initial values on the meta device, where they cost time and hold nothing."""

    FILLS = frozenset("normal_ uniform_ fill_ zero_ clamp_ erfinv_ mul_ add_".split())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket.__name__ in self.FILLS and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))
