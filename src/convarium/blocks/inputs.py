"""Sentences for pictures that a network cannot take. Called at the door of every `forward`."""

from __future__ import annotations

from torch import Tensor
from torch.fx import Proxy

from convarium.errors import InputError, times


def check_picture(x: Tensor, *, net: str, channels: int, least: int) -> None:
    """Refuses anything but (N, channels, H, W) with H and W of at least `least` pixels.

    Args:
        x: what `forward` was given.
        net: the network's name in the message.
        channels: of the first layer.
        least: smallest side in pixels that leaves every map of the network at least 1x1.

    Raises:
        InputError: says what was given and what the network takes.
    """
    if isinstance(x, Proxy):  # torch.fx asks for the layers, there is no picture
        return
    if x.dim() != 4 or x.shape[1] != channels:
        raise InputError(f"{net} takes images (N, {channels}, H, W), not {times(x.shape)}.")
    height, width = x.shape[2:]
    if height < least or width < least:
        raise InputError(
            f"{net}: a {height}x{width} input is too small; the least is {least}x{least}."
        )


def check_map(x: Tensor, *, net: str, layer: str, side: int, native: int) -> None:
    """Refuses a feature map that is not side x side where the weights of `layer` need it.

    Args:
        x: (N, C, H, W), what reaches `layer`.
        net: the network's name in the message.
        layer: the paper's name of the layer, such as "fc6".
        side: of the map that `layer` accepts, in pixels.
        native: side of the input picture that gives it, in pixels.

    Raises:
        InputError: names both sizes and the way out.
    """
    if isinstance(x, Proxy):
        return
    height, width = x.shape[2:]
    if (height, width) != (side, side):
        raise InputError(
            f"{net}: this input reaches {layer} as {height}x{width}, its weights need "
            f"{side}x{side}. Resize to {native}x{native}."
        )
