"""What a user names -> a side of a difference: ours, torchvision's, timm's, a table, a module."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convarium import catalog
from convarium.errors import MissingExtraError, UsageError, unknown_name
from convarium.facts import model_facts
from convarium.files import expanded
from convarium.nets.build import build
from convarium.verify.initial import with_first_values, without_values
from convarium.verify.layer_table import read_table
from convarium.verify.towers import one_column
from convarium.verify.traced import units_of
from convarium.verify.unit import Side

Named = str | nn.Module
_Size = tuple[int, ...] | None
_NATIVE = (3, 224, 224)  # of torchvision's networks, but for those below
_TORCHVISION_SIZES = {"inception_v3": (3, 299, 299)}
# Theirs warn when they are not told how to start; heads of training are built where they run.
_TORCHVISION_HEADS = ("googlenet", "inception_v3")


def both_sides(
    a: Named, b: Named, *, input_size: _Size = None, first_values: bool = False
) -> tuple[Side, Side]:
    """The two networks, traced at `input_size` (C, H, W), or each at its own.

    Where one of ours has heads that run in training only, both are traced in train mode. A module
    without a size takes the other side's.

    Raises:
        UsageError: an unknown network or library, or a module beside nothing with an input size.
        InputError: a layer table that cannot be read, or a size that a network cannot take.
        MissingExtraError: a network of timm without timm.
    """
    mode = "train" if any(_traced_in(x) == "train" for x in (a, b)) else "eval"
    sizes = [input_size or _native(x) for x in (a, b)]
    known = [size or other for size, other in zip(sizes, reversed(sizes), strict=True)]
    first, second = (
        _side(x, size, mode, first_values=first_values)
        for x, size in zip((a, b), known, strict=True)
    )
    return first, second


def _traced_in(named: Named) -> str:
    is_ours = isinstance(named, str) and not _is_table(named) and ":" not in named
    return catalog.find(str(named)).traced if is_ours else "eval"


def _native(named: Named) -> _Size:
    """The input size that comes with a name; None for a module and a table."""
    if isinstance(named, nn.Module) or _is_table(named):
        return None
    library, _, name = named.rpartition(":")
    if not library:
        return model_facts(catalog.find(named).name).input
    if library == "timm":
        return tuple(_timm().get_pretrained_cfg(_known_to_timm(name)).input_size)
    return _TORCHVISION_SIZES.get(name, _NATIVE)


def _side(named: Named, size: _Size, mode: str, *, first_values: bool) -> Side:
    if isinstance(named, str) and _is_table(named):
        return read_table(expanded(named))
    if size is None:
        raise UsageError("diff needs an input size, such as (3, 224, 224), for a module of yours.")
    with without_values():
        name, source, model = _built(named, mode)
    units = units_of(model, size, mode=mode)
    if first_values:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            units = with_first_values(units, model if model is named else _built(named, mode)[2])
    return Side(name, source, tuple(size), one_column(units))


def _built(named: Named, mode: str) -> tuple[str, str, nn.Module]:
    """Name, source and module."""
    if isinstance(named, nn.Module):
        return type(named).__name__, "a module", named
    library, _, name = named.rpartition(":")
    if not library:
        row = catalog.find(named)
        return row.name, "convarium", build(row.name)
    if library == "torchvision":
        return named, library, _from_torchvision(name, mode)
    if library == "timm":
        return named, library, _timm().create_model(_known_to_timm(name), pretrained=False)
    raise UsageError(
        f"{named!r}: {library!r} is no library known here. Write torchvision:NAME, timm:NAME, a "
        "network of ours, or the path of a layer table that ends with .json."
    )


def _is_table(named: str) -> bool:
    return named.lower().endswith(".json")


def _from_torchvision(name: str, mode: str) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise unknown_name("network of torchvision", name, known)
    options: dict[str, Any] = {}
    if name in _TORCHVISION_HEADS:
        options = {"init_weights": True, "aux_logits": mode == "train"}
    model: nn.Module = models.get_model(name, weights=None, **options)
    return model


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("networks of timm need the library timm", "timm") from error
    return timm


def _known_to_timm(name: str) -> str:
    known = _timm().list_models()
    plain = name.split(".", maxsplit=1)[0]
    if plain not in known:
        raise unknown_name("network of timm", plain, known)
    return name
