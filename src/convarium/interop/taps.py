"""What a network computes on the way, by the paper's names of its stages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from convarium.errors import UsageError
from convarium.interop.stages import find_stage


def features_at(model: nn.Module, x: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """The outputs of the named stages for the pictures `x`, in the order of `names`.

    The forward pass runs once, in the mode that the model is in; gradients flow as usual. What
    torchvision's `create_feature_extractor` makes of FractalNet, or of a network of stochastic
    depth, runs in eval mode alone: their training draws paths anew, which it records once.

    Args:
        model: a network.
        x: images (N, C, H, W) float32.
        names: stages, such as "conv3_1", "inception_4e", "fire5", "conv4_x", or whole paths. A
            layer's output is its own, before the ReLU behind it ("relu3_1" is after).

    Returns:
        Name -> (N, channels, height, width), or (N, features) behind the flattening. In the
        two-GPU AlexNet a name of both towers gives their maps side by side.

    Raises:
        UsageError: no such stage, or one that this forward pass does not run.
    """
    names = list(dict.fromkeys(names))
    stages = {name: find_stage(model, name) for name in names}
    seen: dict[str, Tensor] = {}
    handles = []
    for found in stages.values():
        for path, module in found:
            handles.append(module.register_forward_hook(_keeper(seen, path)))
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return {name: _joined(name, [path for path, _ in stages[name]], seen) for name in names}


def _keeper(seen: dict[str, Tensor], path: str) -> Any:
    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        # The last call counts, as for a ReLU that stands at several places.
        if isinstance(output, Tensor):
            seen[path] = output

    return keep


def _joined(name: str, paths: list[str], seen: dict[str, Tensor]) -> Tensor:
    missing = [path for path in paths if path not in seen]
    if missing:
        raise UsageError(
            f"stage {missing[0]!r} gave no tensor in this forward pass: the network's mode skips "
            "it, or it only holds other stages; name one within it."
        )
    outputs = [seen[path] for path in paths]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
