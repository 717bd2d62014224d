"""Weights of others into our networks."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from convarium.errors import InputError, UsageError, unknown_name
from convarium.interop.definition import definition_notes, stride_problem
from convarium.interop.guess import GUESSED, refuse_a_guess
from convarium.interop.layers import layers_of
from convarium.interop.match import (
    by_order,
    copy_in,
    coverage,
    file_layers,
    fit,
)
from convarium.interop.names import Names, torch_names
from convarium.interop.names_files import caffe_names, keras_names
from convarium.interop.readers import Foreign, read
from convarium.interop.report import LoadReport
from convarium.interop.structure import structure_problem

SOURCES = (
    "convarium",
    "torchvision",
    "timm",
    "akamaster",
    "caffe",
    "keras",
    "keras_padded",
    "order",
)
# What averaging and profilers leave beside the weights, at any depth.
_NO_WEIGHTS = ("n_averaged", "total_ops", "total_params")
_OLD_DENSENET = re.compile(r"(denselayer\d+\.)(norm|conv)\.(\d)")
BYTES_A_NUMBER = 16  # room for float32 with the state of an optimiser, or for float64
SPARE_BYTES = 1 << 30


def load_weights(
    model: nn.Module,
    state_dict_or_path: Mapping[str, Tensor] | str | os.PathLike[str],
    *,
    source: str | None = None,
    keep_other_sizes: bool = False,
) -> LoadReport:
    """Fills `model` with weights of another program, all of them or none.

    Args:
        model: a network of ours.
        state_dict_or_path: a state dict, or a file: safetensors, .pth, .npz of Keras's arrays,
            .caffemodel, a codebook file. Files are not trusted; nothing in them is run.
        source: "convarium", "torchvision", "timm", "akamaster", "caffe", "keras", "keras_padded"
            (Keras, and its strided layers pad as ours do) or "order" (layer by layer, whatever
            the names); guessed from names and format when None.
        keep_other_sizes: a classifier of another number of classes, and a first layer of another
            number of input channels, keep the values they have; the report lists them.

    Returns:
        What was loaded, what was kept, and what to know of it.

    Raises:
        InputError: another network's weights (names the first difference), or a file that cannot
            be trusted or read. The model is as it was.
        UsageError: no such source.
    """
    if source is not None and source not in SOURCES:
        raise unknown_name("source", source, SOURCES)
    if any(tensor.is_meta for tensor in model.state_dict().values()):
        raise UsageError(
            "the network lies on the meta device, where no weights fit; create it on the CPU."
        )
    foreign = _opened(model, state_dict_or_path)
    names = _chosen(model, foreign, source)
    found = fit(model, foreign, names, whole=names.ecosystem != "convarium", keep=keep_other_sizes)
    if source != "order" and (problem := stride_problem(model, foreign, names)):
        raise InputError(f"{foreign.label} is not this network's: {problem}.")
    has_strides = any(said.kind == "conv" for said in foreign.said)  # just compared
    if names.differs is not None and source != "order" and not has_strides:
        raise InputError(
            f"{foreign.label} has {names.ecosystem}'s weights of a network that computes something "
            f"else: {names.differs}. source='order' loads them all the same."
        )
    if source != "order" and (problem := structure_problem(model, foreign.network)):
        raise InputError(
            f"{foreign.label} has the weights of {foreign.network}, another network: {problem}. "
            "source='order' loads them all the same."
        )
    if names.ecosystem == "order" and source != "order":
        refuse_a_guess(model, foreign)
    copy_in(model, found)
    notes = (*foreign.notes, *names.notes, *_left_out(foreign, names))
    notes += definition_notes(model, foreign, names)
    notes += (GUESSED,) * (names.ecosystem == "order" and source != "order")
    notes += _carry_epsilon(model, foreign.norm_eps or names.norm_eps or _usual(names))
    return LoadReport(names.ecosystem, tuple(found.loaded), tuple(found.kept), notes)


def names_for(model: nn.Module, ecosystem: str) -> list[Names]:
    """How an ecosystem names the layers of `model`, in each of its spellings; empty if it has none.

    Raises:
        UsageError: no such ecosystem.
    """
    if ecosystem == "convarium":
        same = {layer.name: layer.name for layer in layers_of(model, whole=False)}
        return [Names("convarium", same)]
    if ecosystem == "caffe":
        return caffe_names(model)
    if ecosystem in ("keras", "keras_padded"):
        return keras_names(model)
    if ecosystem in ("torchvision", "timm", "akamaster"):
        return torch_names(model, ecosystem)
    raise unknown_name("ecosystem", ecosystem, SOURCES)


def _opened(
    model: nn.Module, state_dict_or_path: Mapping[str, Tensor] | str | os.PathLike[str]
) -> Foreign:
    if isinstance(state_dict_or_path, Mapping):
        foreign = Foreign(state_dict_or_path, "the state dict")
        for key, value in state_dict_or_path.items():
            if not isinstance(key, str) or not isinstance(value, Tensor):
                raise InputError(f"the state dict has {key!r:.60}, which is no named tensor.")
            if value.is_meta or value.layout != torch.strided:
                raise InputError(f"the state dict has {key}, which holds no plain numbers.")
    else:
        numbers = sum(tensor.numel() for tensor in model.state_dict().values())
        foreign = read(state_dict_or_path, BYTES_A_NUMBER * numbers + SPARE_BYTES)
    if not foreign.tensors:
        raise InputError(f"{foreign.label} holds no tensor.")
    return _unwrapped(model, foreign)


def _unwrapped(model: nn.Module, foreign: Foreign) -> Foreign:
    """Without the words that DataParallel, torch.compile or a trainer set before every name."""
    # The first DenseNets of torchvision were saved with a dot more: norm.1 for norm1.
    tensors = {
        _OLD_DENSENET.sub(r"\1\2\3", key): tensor
        for key, tensor in foreign.tensors.items()
        if key.rpartition(".")[2] not in _NO_WEIGHTS
    }
    own = {key.partition(".")[0] for key in model.state_dict()}
    while len(first := {key.partition(".")[0] for key in tensors}) == 1 and not first & own:
        if any("." not in key.partition(".")[2] for key in tensors):
            break  # what would be left is no layer and its role
        tensors = {key.partition(".")[2]: tensor for key, tensor in tensors.items()}
    return replace(foreign, tensors=tensors)


def _chosen(model: nn.Module, foreign: Foreign, source: str | None) -> Names:
    """The naming that covers most of the network; layer by layer where none covers half of it."""
    given = file_layers(foreign)
    ordered = foreign.ordered
    if source == "order":
        return by_order(layers_of(model), given, ordered=ordered)
    if source is not None:
        asked: tuple[str, ...] = (source,)
    elif foreign.ecosystem is not None:
        asked = (foreign.ecosystem,)
    else:
        asked = ("convarium", "torchvision", "timm", "akamaster", "caffe")
    candidates = [names for ecosystem in asked for names in names_for(model, ecosystem)]
    best = max(candidates, key=lambda names: coverage(names, given), default=None)
    by_name = best is not None and coverage(best, given) >= 0.5
    if source is not None and best is None:
        raise UsageError(f"{source} has no network equal to this one; leave source out.")
    names = (
        best if best is not None and by_name else by_order(layers_of(model), given, ordered=ordered)
    )
    is_padded = source == "keras_padded" or names.padding_known
    if foreign.maps_last and not is_padded:
        _refuse_same_padding(model, foreign)
    return names


def _refuse_same_padding(model: nn.Module, foreign: Foreign) -> None:
    """TensorFlow's SAME pads the far side more at stride 2: another network where ours is even."""
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
            continue
        stride, padding = _first(module.stride), _first(module.padding)
        if stride > 1 and padding > 0:
            raise InputError(
                f"{foreign.label}: {name} pads {padding} on each side at stride {stride}, where "
                "TensorFlow's SAME pads the right and the bottom more; if the file's network pads "
                "as this one does, say source='keras_padded'."
            )


def _carry_epsilon(model: nn.Module, eps: float | None) -> tuple[str, ...]:
    """Gives the batch norms the epsilon that the weights were trained with."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    changed = [norm for norm in norms if eps is not None and norm.eps != eps]
    if not changed or eps is None:
        return ()
    before = changed[0].eps
    for norm in changed:
        norm.eps = eps
    return (
        f"the epsilon of {len(changed)} batch norms is now the file's, {eps:g}, not {before:g}",
    )


def _usual(names: Names) -> float | None:
    """Torch's epsilon, where the weights come from a program that uses it."""
    return 1e-5 if names.ecosystem in ("torchvision", "timm", "akamaster") else None


def _left_out(foreign: Foreign, names: Names) -> tuple[str, ...]:
    """Says which layers of the file only train."""
    given = file_layers(foreign)
    words = [word.rstrip("/.") for word in names.left_out if any(g.startswith(word) for g in given)]
    return (f"left out, since only training uses them: {', '.join(words)}",) * bool(words)


def _first(value: int | str | tuple[int, ...]) -> int:
    if isinstance(value, str):
        return 0
    return value if isinstance(value, int) else value[0]
