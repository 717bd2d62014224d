"""From a row of the catalog to the network."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from inspect import signature
from math import isfinite
from typing import Any, cast

import torch
from torch import nn

from convarium import catalog
from convarium.blocks.modes import PlainMode
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
        if not options:
            network = cast(nn.Module, make(**given))
            vars(network)["catalog_name"] = row.name  # written beside its weights
            return network
        with _of_the_user(row.name, options):
            network = cast(nn.Module, make(**given))
            if not all(p.numel() for p in network.parameters()):
                raise ValueError("a layer would be empty")
    return network


@contextmanager
def _of_the_user(name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Within, what a family's class makes of an option that it cannot take is one sentence.

    Raises:
        UsageError: the options are not of the type or size that the network takes.
    """
    words = ", ".join(f"{key}={value!r}" for key, value in options.items())
    try:
        if any(isinstance(value, float) and not isfinite(value) for value in options.values()):
            raise ValueError("no finite number")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers without elements, which are refused
            yield
    except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        if "memory" in reason:  # more than this machine has, which is said elsewhere
            raise
        raise UsageError(
            f"{name} cannot be built with {words} ({reason}). Take another value, or the paper's: "
            "leave it out."
        ) from error


class NoFills(PlainMode):
    """Passes over initial values on the meta device, where they cost time and hold nothing."""

    FILLS = frozenset("normal_ uniform_ fill_ zero_ clamp_ erfinv_ mul_ add_".split())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket.__name__ in self.FILLS and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))
