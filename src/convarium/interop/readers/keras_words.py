"""What the names of a Keras file's arrays say: which layer, and which of its arrays.

Keras writes "block1_conv1/kernel" (3), "block1_conv1/block1_conv1/kernel:0" (2, in .h5 files),
"block1_conv1_W_1:0" (before), and "layers/conv2d_3/vars/0" (.weights.h5 of 3, which counts a
layer's arrays). TensorFlow's slim writes "vgg_16/conv1/conv1_1/weights". Exporters put a dot, a
bar or an underscore for the slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

ROLES = {
    "kernel": "weight",
    "W": "weight",
    "weights": "weight",
    "weight": "weight",
    "depthwise_kernel": "depthwise",
    "depthwise_weights": "depthwise",
    "bias": "bias",
    "biases": "bias",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "running_mean": "running_mean",
    "moving_variance": "running_var",
    "running_var": "running_var",
    "running_std": "running_var",  # an old spelling; it holds the variance
}
COUNTED = "vars"  # the role of an array that is only counted, before its number
_LONGEST_FIRST = "|".join(sorted(ROLES, key=len, reverse=True))
_WITH_ROLE = re.compile(rf"(.+?)[._-]+({_LONGEST_FIRST})(?:_\d+)?")
_DEPTHWISE = re.compile(r"(^|[/_])(dw|depthwise)([/_]|$)")
_ONLY_TRAINS = re.compile(
    r"(^|/)(optimizer\w*|seed_generator\w*|global_step|iterations?|learning_rate|"
    r"Adam(_\d)?|Momentum|RMSProp(_\d)?|ExponentialMovingAverage)(/|:|$)"
)


def only_trains(name: str) -> bool:
    """True for an array of an optimiser, a generator of random numbers, or a counter of steps.

    >>> only_trains("optimizer/vars/3"), only_trains("conv1/weights/Momentum")
    (True, True)
    """
    return bool(_ONLY_TRAINS.search(name))


def layers_and_roles(names: Iterable[str]) -> dict[str, tuple[str, str] | None]:
    """Layer and role of each name: a role of PyTorch, "depthwise", or "vars0", "vars1" ..

    None for a name that is no array of a layer.

    >>> list(layers_and_roles(["net/conv1/conv1/kernel:0", "net/bn_conv1/gamma:0"]).values())
    [('conv1', 'weight'), ('bn_conv1', 'weight')]
    """
    split = {name: _split(name) for name in names}
    found = [layer for layer, role in split.values() if role is not None]
    shared = 0
    while all(len(layer) > shared + 1 for layer in found) and (
        len({layer[shared] for layer in found}) == 1
    ):
        shared += 1
    return {
        name: None if role is None else ("/".join(_once(layer[shared:])), role)
        for name, (layer, role) in split.items()
    }


def _split(name: str) -> tuple[list[str], str | None]:
    """The words of the layer, and the role; no role where there is none."""
    words = re.split(r"[/|]", name.partition(":")[0])
    *layer, last = [word for word in words if word]
    if layer and last.isdigit() and layer[-1] == "vars":
        return layer[:-1], f"{COUNTED}{int(last)}" if len(layer) > 1 else None
    role = last if last in ROLES else None
    if role is None and (found := _WITH_ROLE.fullmatch(last)):
        # Before Keras 2 the layer's name stands in front of the role, and again in the folder.
        role = found[2]
        layer = layer if layer and _again(layer[-1], found[1]) else [*layer, found[1]]
    if role is None or not layer:
        return layer, None
    is_depthwise = ROLES[role] == "weight" and _DEPTHWISE.search("/".join(layer))
    return layer, "depthwise" if is_depthwise and role != "gamma" else ROLES[role]


def _once(layer: list[str]) -> list[str]:
    """The layer's words without their repetition: Keras 2 writes them as folder and as name."""
    half = len(layer) // 2
    twice = len(layer) % 2 == 0 and all(map(_again, layer[:half], layer[half:]))
    return layer[:half] if twice else layer


def _again(folder: str, word: str) -> bool:
    """True for a name and itself, or itself made unique: conv1 and conv1_1, as Keras 2 does."""
    return bool(re.fullmatch(rf"{re.escape(folder)}(_\d+)?", word))
