"""Initial values other than the paper's: redrawn, scaled by data, or another network's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from convarium.errors import InputError

_LAYERS = (nn.Conv2d, nn.Linear)
# Two deviations: 97.7 % of normally distributed logits are above 0.
LAST_MEAN = 2.0


def unit_variance(model: nn.Module, images: Tensor) -> None:
    """Scales drawn weights so that each output map has mean 0 and variance 1 on `images`.

    One forward pass: each convolution and linear layer, when its turn comes, is scaled and shifted
    map by map by what its own output says, so that the next layer already sees the scaled one.
    Without the shift, the positive means behind ReLU outgrow what differs between pictures. A layer
    without bias is scaled only. Dropout is as in training, since it moves what later layers see.
    Parameters of other layers stay.

    The last layer's maps get mean 2: softmax does not see it, but in NiN and SqueezeNet a ReLU
    stands behind, and a class that is 0 everywhere never learns.

    Args:
        model: in train mode; changed in place.
        images: (N, C, H, W) float32 on the model's device, as it will be trained on.

    Source:
        Salimans & Kingma, "Weight normalization", NIPS 2016 (arXiv 1602.07868), section 3; layer
        by layer as in Mishkin & Matas, "All you need is a good init" (arXiv 1511.06422).
    """
    layers = [layer for layer in model.modules() if isinstance(layer, _LAYERS)]
    called: list[nn.Module] = []
    with torch.no_grad(), ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_hook(_Scale(called)).remove)
        model(images)
        last = called[-1] if called else None
        if isinstance(last, _LAYERS) and last.bias is not None:
            last.bias.add_(LAST_MEAN)


def redraw(model: nn.Module, init: str) -> None:
    """Draws the weights of all convolutions and linear layers anew; biases are 0.

    Args:
        model: changed in place.
        init: "xavier" (Glorot & Bengio 2010, eq. 16), "he" (He et al. 2015, eq. 10), which
            "unit_variance" begins with, or "paper", whose values the network has already.
    """
    if init == "paper":
        return
    fill = nn.init.xavier_uniform_ if init == "xavier" else nn.init.kaiming_normal_
    for layer in model.modules():
        if isinstance(layer, _LAYERS):
            fill(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def copy_equal(
    model: nn.Module, trained: Mapping[str, Tensor], convolutions: int | None = None
) -> list[str]:
    """Copies another network's tensors of equal names and shapes; the names of those copied.

    Args:
        model: changed in place.
        trained: the other network's tensors.
        convolutions: only so many of the layers with filters, the first of them in `model`; all
            when None. Layers without filters are copied in any case.

    Raises:
        InputError: there are none.
    """
    own = model.state_dict()
    names = [n for n, t in own.items() if n in trained and trained[n].shape == t.shape]
    filters = [n.rpartition(".")[0] for n in names if own[n].dim() > 2]
    left_out = set() if convolutions is None else set(filters[convolutions:])
    names = [n for n in names if n.rpartition(".")[0] not in left_out]
    if not names:
        raise InputError("the weights to start from share no layer with this network.")
    with torch.no_grad():
        for name in names:
            own[name].copy_(trained[name])
    return names


class _Scale:
    """Scales and shifts a layer by its first output's deviation and mean, map by map."""

    def __init__(self, called: list[nn.Module]) -> None:
        self.called = called

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if layer in self.called or not isinstance(layer, _LAYERS):
            return output
        self.called.append(layer)
        maps = output.float().transpose(0, 1).flatten(1)  # (channels, N * H * W)
        # A map that is the same for every picture stays as it is.
        deviation = maps.std(1)
        scale = deviation.where(deviation > 1e-6, deviation.new_ones(()))
        layer.weight.div_(scale.view(-1, *[1] * (layer.weight.dim() - 1)))
        shape = (1, -1, *[1] * (output.dim() - 2))
        output = output / scale.view(shape)
        if layer.bias is None:
            return output
        mean = maps.mean(1) / scale
        layer.bias.copy_(-mean)
        return output - mean.view(shape)
