"""Where layers may be matched by their order alone, and where that would be a guess too far."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from torch import nn

from convarium.errors import InputError
from convarium.interop.layers import Layer, has_branches, layers_of
from convarium.interop.match import counted_names, file_layers, is_norm
from convarium.interop.readers import Foreign

GUESSED = "no names known here are the file's: its layers were matched by their order alone"
_ALL_THE_SAME = "source='order' loads them all the same"
_RESIDUAL = re.compile(r"layer\d\.\d+\.(conv|bn)\d")
# The words of a name behind its block's: layers of one block share the rest.
_WITHIN = re.compile(r"(\.(conv\d?|reduce|proj|shortcut|branch\w+|column\d+|\d+))+$")


def refuse_a_guess(model: nn.Module, foreign: Foreign) -> None:
    """Lets a match by order pass only where the order can mean one thing.

    A network without branches runs in one order. In one with branches the file's norms have to
    stand among its convolutions as ours do, and no branch may have a twin.

    Raises:
        InputError: the names are of residual blocks as torchvision has them, which this network
            has not, or the order is ambiguous.
    """
    blocks = [name for name in file_layers(foreign) if _RESIDUAL.search(name)]
    if blocks:
        raise InputError(
            f"{foreign.label} has {blocks[0]}, a layer of a residual network whose blocks are not "
            f"this network's; {_ALL_THE_SAME}."
        )
    if not has_branches(model):
        return
    if foreign.maps_last:
        raise InputError(
            f"{foreign.label} tells the order of its layers alone, which in branches is not this "
            "network's. Name the arrays as Keras does: numpy.savez(path, **{w.path: w.numpy() "
            f"for w in model.weights}}); {_ALL_THE_SAME}."
        )
    layers = [layer for layer in layers_of(model) if layer.kind != "other"]
    given = file_layers(foreign)
    theirs = [is_norm(given[name]) for name in counted_names(foreign)]
    if theirs != [layer.kind == "norm" for layer in layers]:
        raise InputError(
            f"{foreign.label} has other names than the libraries known here, and its norms stand "
            f"elsewhere among its layers: which is which in branches is a guess; {_ALL_THE_SAME}."
        )
    twins = next(_twins([layer for layer in layers if layer.kind == "product"]), None)
    if twins is not None:
        raise InputError(
            f"{foreign.label} has other names than the libraries known here, and {twins[0].title} "
            f"and {twins[1].title} lie side by side in one shape: which is which is a guess; "
            f"{_ALL_THE_SAME}."
        )


def _twins(products: list[Layer]) -> Iterator[tuple[Layer, Layer]]:
    """Branches' first layers, and another of the same block and shape."""
    alike: dict[tuple[str, tuple[int, ...]], list[Layer]] = {}
    for layer in products:
        block = _WITHIN.sub("", layer.name)
        alike.setdefault((block, layer.shapes["weight"]), []).append(layer)
    for before, layer in itertools.pairwise(products):
        shape = layer.shapes["weight"]
        if len(shape) == 4 and shape[1] not in (1, before.shapes["weight"][0]):
            same = alike[_WITHIN.sub("", layer.name), shape]
            yield from (pair for pair in itertools.combinations(same, 2) if layer in pair)
