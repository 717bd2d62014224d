"""A network seen as a list of layers that hold weights, the way every exchange format sees it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from convarium.blocks.conv_norm import ConvNorm
from convarium.blocks.residual import BasicBlock, Bottleneck
from convarium.nets.alexnet import AlexNet2GPU

COUNTER = "num_batches_tracked"
_TOWER = re.compile(r"tower[12]\.")
_AFTER_FLATTEN = re.compile(r"(^|\.)(fc6|ip1|aux\d\.fc)$")
_HEAD = re.compile(
    r"(^|\.)(fc8|fc|ip2|linear|classifier|connected|conv10|cccp[68]|out|prediction)$"
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer with weights.

    `keys` holds, per role ("weight", "bias", "running_mean" ..), the keys of our state dict whose
    rows follow one another: one key, or one a tower in the two-GPU AlexNet. `shapes` are those of
    the whole. `kind` is "product" (convolution, linear), "norm" or "other".
    """

    name: str
    kind: str
    keys: dict[str, tuple[str, ...]]
    shapes: dict[str, tuple[int, ...]]

    @property
    def title(self) -> str:
        """The name in messages: "inception_3a.branch5x5" says it without ".conv"."""
        return self.name.removesuffix(".conv")


def layers_of(model: nn.Module, *, whole: bool = True) -> list[Layer]:
    """The layers that hold weights or fixed values, from the picture to the classes.

    Args:
        model: a network of ours, or any module.
        whole: take the two towers of AlexNet for one layer each, as other formats have it.
    """
    merge = whole and isinstance(model, AlexNet2GPU)
    found: dict[str, dict[str, list[str]]] = {}
    state = model.state_dict()
    for key in state:
        name, _, role = key.rpartition(".")
        name = _TOWER.sub("", name) if merge else name
        found.setdefault(name, {}).setdefault(role, []).append(key)
    modules = dict(model.named_modules())
    layers = []
    for name, roles in found.items():
        module = modules[next(iter(roles.values()))[0].rpartition(".")[0]]
        shapes = {}
        for role, keys in roles.items():
            first = tuple(state[keys[0]].shape)
            rows = sum(state[key].shape[0] for key in keys) if first else 0
            shapes[role] = (rows, *first[1:]) if first else ()
        layers.append(Layer(name, _kind(module), {r: tuple(k) for r, k in roles.items()}, shapes))
    # The class lists GoogLeNet's stem behind the inceptions that it feeds.
    return sorted(layers, key=lambda layer: not layer.name.startswith("stem"))


def is_head(model: nn.Module, layer: Layer) -> bool:
    """True for a layer whose rows are the classes."""
    return layer.kind != "norm" and bool(_HEAD.search(layer.name)) and layer.name in _heads(model)


def is_first(layers: list[Layer], layer: Layer) -> bool:
    """True for the layer that sees the picture."""
    return layer.name == layers[0].name


def flattened(layers: list[Layer], layer: Layer) -> tuple[int, int, int] | None:
    """(C, H, W) of the maps that a fully connected layer sees flattened, None for any other.

    H and W are equal: C is what the layer with weights before it puts out.
    """
    if not _AFTER_FLATTEN.search(layer.name):
        return None
    products = [one for one in layers if one.kind == "product"]
    before = products[products.index(layer) - 1]
    channels = before.shapes["weight"][0]
    side = round((layer.shapes["weight"][1] / channels) ** 0.5)
    return channels, side, side


def has_branches(model: nn.Module) -> bool:
    """True unless each convolution and linear layer sees just what the one before it puts out."""
    modules = dict(model.named_modules())
    products = [layer for layer in layers_of(model) if layer.kind == "product"]
    for before, layer in itertools.pairwise(products):
        out, weight = before.shapes["weight"][0], layer.shapes["weight"]
        module = modules.get(layer.name)
        # The towers of AlexNet are one layer here, and no module: groups that see half each.
        seen = weight[1] * getattr(module, "groups", 1) if module else out
        if seen != out and (len(weight) > 2 or seen % out):
            return True
    return False


def norms_behind(model: nn.Module) -> dict[str, str]:
    """Convolutions whose output only a batch norm sees, and that norm, by the layers' names.

    A bias before such a norm trains to nothing and can be folded into its mean.
    """
    pairs: dict[str, str] = {}
    for name, module in model.named_modules():
        for conv, norm in _pairs_in(module):
            dot = f"{name}." if name else ""
            pairs[f"{dot}{conv}"] = f"{dot}{norm}"
    return pairs


def _pairs_in(module: nn.Module) -> Iterator[tuple[str, str]]:
    children = dict(module.named_children())
    if isinstance(module, ConvNorm):
        yield "conv", "norm"
    elif isinstance(module, (BasicBlock, Bottleneck)):
        yield from ((f"conv{i}", f"bn{i}") for i in (1, 2, 3) if f"bn{i}" in children)
        if isinstance(module.shortcut, nn.Sequential) and len(module.shortcut) == 2:
            projects = isinstance(module.shortcut[0], nn.Conv2d)
            yield from (("shortcut.0", "shortcut.1"),) * projects
    elif {"conv1", "bn1", "relu1", "conv2_x"} <= set(children):
        yield "conv1", "bn1"
    elif {"convolution", "norm"} <= set(children):
        yield "convolution", "norm"


def _heads(model: nn.Module) -> set[str]:
    """Names of the layers behind which no other layer with weights stands, auxiliary ones too."""
    names = [layer.name for layer in layers_of(model)]
    main = [name for name in names if not name.startswith("aux")]
    return {main[-1], *(name for name in names if re.fullmatch(r"aux\d\.linear", name))}


def _kind(module: nn.Module) -> str:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        return "product"
    return "norm" if isinstance(module, nn.BatchNorm2d) else "other"
