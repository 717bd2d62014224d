"""A file's layers against a network's: which is which, and the first thing that does not fit.

Everything is checked before a number is copied: a file that does not fit changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from convarium.errors import InputError, times
from convarium.interop.layers import (
    COUNTER,
    Layer,
    flattened,
    is_first,
    is_head,
    layers_of,
    norms_behind,
)
from convarium.interop.names import Names
from convarium.interop.readers import Foreign

Roles = dict[str, Tensor]
_HEAD_LAST = re.compile(r"(^|[./])(fc\d*|classifier|head|linear|predictions|logits|output)([./]|$)")


@dataclass(slots=True)
class Fit:
    """What to copy: our keys and their tensors; and the layers that keep what they have."""

    values: dict[str, Tensor] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)


def file_layers(foreign: Foreign) -> dict[str, Roles]:
    """Their layers: name -> role -> tensor, in the order of the file."""
    found: dict[str, Roles] = {}
    for key, tensor in foreign.tensors.items():
        name, _, role = key.rpartition(".")
        found.setdefault(name, {})[role] = tensor
    return found


def coverage(names: Names, given: dict[str, Roles]) -> float:
    """Share of our layers that the file has under these names."""
    return sum(theirs in given for theirs in names.theirs.values()) / max(len(names.theirs), 1)


def by_order(layers: list[Layer], given: dict[str, Roles], *, ordered: bool) -> Names:
    """Pairs the k-th convolution or linear layer with theirs, and the k-th norm with theirs.

    Args:
        layers: ours.
        given: theirs.
        ordered: the file has its own order; otherwise its names are sorted as people count.

    Raises:
        InputError: one side has more layers than the other, and all before it fit.
    """
    theirs: dict[str, list[str]] = {"norm": [], "product": [], "other": []}
    for name in given if ordered else sorted(given, key=_counting):
        kind = "norm" if is_norm(given[name]) else "product" if _has_sides(given[name]) else "other"
        theirs[kind].append(name)
    paired: dict[str, str] = {}
    for kind in ("product", "norm", "other"):
        ours = [layer for layer in layers if layer.kind == kind]
        for layer, name in zip(ours, theirs[kind], strict=False):
            paired[layer.name] = name
    return Names("order", paired)


def counted_names(foreign: Foreign) -> list[str]:
    """Norms, convolutions and linear layers of a file, in its own order or as people count."""
    given = file_layers(foreign)
    names = list(given) if foreign.ordered else sorted(given, key=_counting)
    return [name for name in names if is_norm(given[name]) or _has_sides(given[name])]


def is_norm(roles: Roles) -> bool:
    """True for what normalises: statistics, or a row of weights."""
    return "running_mean" in roles or ("weight" in roles and roles["weight"].dim() == 1)


def _has_sides(roles: Roles) -> bool:
    return "weight" in roles and roles["weight"].dim() > 1


def fit(
    model: nn.Module, foreign: Foreign, names: Names, *, whole: bool = True, keep: bool = False
) -> Fit:
    """Checks a file against a network, layer by layer, and gathers what to copy.

    Args:
        model: a network of ours.
        foreign: what the reader gave.
        names: which of their layers is which of ours.
        whole: as in `layers_of`.
        keep: a classifier of other classes and a first layer of other channels keep their values.

    Raises:
        InputError: the first difference.
    """
    layers, given = layers_of(model, whole=whole), file_layers(foreign)
    if foreign.maps_last:
        given = _maps_first(layers, given, names)
    found = Fit()
    dropped = _kept_layers(model, layers, given, names) if keep else {}
    found.kept += dropped.items()
    layers = [layer for layer in layers if layer.name not in dropped]
    for problem in _differences(layers, given, names):
        raise InputError(f"{foreign.label} is not this network's: {problem}.")
    given = _biases_folded(model, layers, given, names)
    for problem in _leftovers(layers, given, names, dropped):
        raise InputError(f"{foreign.label} is not this network's: {problem}.")
    state = model.state_dict()
    for layer in layers:
        for role, tensor in given[names.theirs[layer.name]].items():
            if role in layer.keys:
                found.values |= _pieces(foreign.label, layer, role, tensor, state)
        found.loaded.append(layer.name)
    return found


def copy_in(model: nn.Module, found: Fit) -> None:
    """Copies what was checked."""
    state = model.state_dict()
    with torch.no_grad():
        for key, tensor in found.values.items():
            state[key].copy_(tensor)


def fits(theirs: tuple[int, ...], ours: tuple[int, ...]) -> bool:
    """True for equal shapes, and for one matrix as a linear layer and as a convolution.

    >>> fits((4096, 512, 7, 7), (4096, 25088)), fits((1000, 1024), (1000, 1024, 1, 1))
    (True, True)
    """
    if theirs == ours:
        return True
    if not theirs or not ours or theirs[0] != ours[0] or 2 not in (len(theirs), len(ours)):
        return False
    return _columns(theirs) == _columns(ours)


def _differences(layers: list[Layer], given: dict[str, Roles], names: Names) -> Iterator[str]:
    """Layers that are missing and weights of another shape, then what a layer lacks."""
    for layer in layers:
        theirs = names.theirs.get(layer.name)
        if theirs is None or theirs not in given:
            called = f" (there {theirs})" if theirs and theirs != layer.name else ""
            yield f"{layer.title}{called} is missing in the file"
            continue
        for role in ("weight",) if layer.kind != "other" else tuple(layer.shapes):
            ours = layer.shapes.get(role)
            if ours is None or role not in given[theirs]:
                continue
            shape = tuple(given[theirs][role].shape)
            if not fits(shape, ours):
                yield f"{layer.title}: {_expected(ours, shape)}"
    for layer in layers:
        roles = given[names.theirs[layer.name]]
        for role, ours in layer.shapes.items():
            if role not in roles and role != COUNTER:
                yield f"{layer.title}: the file has no {role}"
            elif role in roles and not _same_size(role, roles[role], ours):
                yield f"{layer.title}.{role}: {_expected(ours, tuple(roles[role].shape))}"


def _same_size(role: str, tensor: Tensor, ours: tuple[int, ...]) -> bool:
    # A count is one number or a row of one, as the writer likes.
    return fits(tuple(tensor.shape), ours) or (role == COUNTER and tensor.numel() == 1)


def _leftovers(
    layers: list[Layer], given: dict[str, Roles], names: Names, dropped: dict[str, str]
) -> Iterator[str]:
    """What the file has and the network has not."""
    known = {names.theirs[layer.name]: layer for layer in layers}
    skipped = {names.theirs[name] for name in dropped}
    for theirs, roles in given.items():
        if theirs in skipped or any(theirs.startswith(prefix) for prefix in names.left_out):
            continue
        if theirs not in known:
            yield f"the file has {theirs or next(iter(roles))}, which this network lacks"
            continue
        for role in roles:
            if role not in known[theirs].shapes and role != COUNTER:
                yield f"{known[theirs].title}: the file has a {role}, this network has none"


def _pieces(
    label: str, layer: Layer, role: str, tensor: Tensor, state: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The tensor for each of our keys: whole, or its rows shared out among the towers."""
    keys = layer.keys[role]
    whole = _checked(label, layer, role, tensor, state[keys[0]].dtype)
    if len(keys) == 1:
        return {keys[0]: whole}
    rows = [state[key].shape[0] for key in keys]
    return dict(zip(keys, whole.split(rows), strict=True))


def _checked(label: str, layer: Layer, role: str, tensor: Tensor, wanted: torch.dtype) -> Tensor:
    """The tensor in our shape and type, its numbers looked at."""
    what = f"{label}: {layer.name}.{role}"
    if wanted.is_floating_point != tensor.is_floating_point() or tensor.is_complex():
        raise InputError(f"{what} is of {tensor.dtype}, the network's is of {wanted}.")
    if not wanted.is_floating_point:
        if tensor.dtype != wanted:
            raise InputError(f"{what} is of {tensor.dtype}, the network's is of {wanted}.")
        if role == COUNTER and bool((tensor < 0).any()):
            raise InputError(f"{what} is below 0; it counts batches.")
        return tensor.reshape(layer.shapes[role])
    cast = tensor.to(wanted)
    if not bool(cast.isfinite().all()):
        raise InputError(f"{what} holds values that are no finite numbers of {wanted}.")
    if role == "running_var" and bool((cast < 0).any()):
        raise InputError(f"{what} is below 0; a variance never is.")
    return cast.reshape(layer.shapes[role])


def _kept_layers(
    model: nn.Module, layers: list[Layer], given: dict[str, Roles], names: Names
) -> dict[str, str]:
    """Layers that only the number of classes or of input channels keeps from fitting."""
    kept: dict[str, str] = {}
    for layer in layers:
        roles = given.get(names.theirs.get(layer.name, ""), {})
        if "weight" not in roles or "weight" not in layer.shapes:
            continue
        ours, theirs = layer.shapes["weight"], tuple(roles["weight"].shape)
        if len(theirs) < 2 or fits(theirs, ours):
            continue
        if is_head(model, layer) and _columns(ours) == _columns(theirs):
            kept[layer.name] = f"{ours[0]} classes here, {theirs[0]} in the file"
        elif is_first(layers, layer) and ours[:1] + ours[2:] == theirs[:1] + theirs[2:]:
            kept[layer.name] = f"{ours[1]} input channels here, {theirs[1]} in the file"
    return kept


def _biases_folded(
    model: nn.Module, layers: list[Layer], given: dict[str, Roles], names: Names
) -> dict[str, Roles]:
    """Moves the bias of a convolution into the mean of the batch norm behind it, which is equal."""
    behind = norms_behind(model)
    ours = {layer.name: layer for layer in layers}
    folded = dict(given)
    for conv, norm in behind.items():
        if conv not in ours or norm not in ours:
            continue
        theirs, mean_of = names.theirs[conv], names.theirs[norm]
        bias, mean = folded[theirs].get("bias"), folded[mean_of].get("running_mean")
        if bias is None or mean is None or bias.shape != mean.shape:
            continue
        folded[theirs] = {role: t for role, t in folded[theirs].items() if role != "bias"}
        moved = (mean.double() - bias.double()).to(mean.dtype)
        folded[mean_of] = folded[mean_of] | {"running_mean": moved}
    return folded


def _maps_first(layers: list[Layer], given: dict[str, Roles], names: Names) -> dict[str, Roles]:
    """Turns the columns of a layer behind flattened maps from (H, W, C) to (C, H, W)."""
    turned = dict(given)
    for layer in layers:
        theirs = names.theirs.get(layer.name, "")
        maps = flattened(layers, layer)
        weight = given.get(theirs, {}).get("weight")
        if maps is None or weight is None or weight.dim() != 2:
            continue
        channels, height, width = maps
        if weight.shape[1] == channels * height * width:
            shaped = weight.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
            turned[theirs] = given[theirs] | {"weight": shaped.reshape(weight.shape)}
    return turned


def _expected(ours: tuple[int, ...], theirs: tuple[int, ...]) -> str:
    """ "5x5 expected, file has 3x3" where only the kernels differ; else the whole shapes."""
    if len(ours) == len(theirs) == 4 and ours[:2] == theirs[:2]:
        ours, theirs = ours[2:], theirs[2:]
    return f"{times(ours)} expected, file has {times(theirs)}"


def _columns(shape: tuple[int, ...]) -> int:
    """How many numbers a row of a weight holds."""
    total = 1
    for side in shape[1:]:
        total *= side
    return total


def _counting(name: str) -> tuple[bool, list[tuple[int, int, str]]]:
    """Sorts as people count, 2 before 10, with what is called a classifier last."""
    words = [w for w in re.split(r"(\d+)", name) if w]
    keys = [(0, int(w), "") if w.isdigit() else (1, 0, w) for w in words]
    return bool(_HEAD_LAST.search(name)), keys
