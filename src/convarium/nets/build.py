"""From a row of the catalog to the network."""

from __future__ import annotations

from importlib import import_module

from torch import nn

from convarium import catalog
from convarium.errors import UsageError


def build(
    name: str, *, num_classes: int | None = None, in_channels: int | None = None
) -> nn.Module:
    """The network called `name`, or by that alias, with the paper's initial values.

    Args:
        name: a row of the catalog or an alias.
        num_classes: outputs of the classifier; the paper's number when None.
        in_channels: channels of the input picture; the paper's number when None.

    Raises:
        UsageError: no such network, or an argument that it does not take.
    """
    row = catalog.find(name)
    options = dict(row.options)
    for key, value in (("num_classes", num_classes), ("in_channels", in_channels)):
        if value is None:
            continue
        if value < 1:
            raise UsageError(f"{row.name}: {key} must be at least 1, not {value}.")
        options[key] = value
    if row.task == "features" and num_classes is not None:
        raise UsageError(f"{row.name} gives a feature map: it takes no num_classes.")
    module, builder = row.builder.split(":")
    network: nn.Module = getattr(import_module(f"convarium.nets.{module}"), builder)(**options)
    return network
