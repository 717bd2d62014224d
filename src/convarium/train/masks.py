"""Dropout masks that are a function of (seed, step, sample id, call) alone.

torch's own come from one generator for the whole batch, so they move when a batch is cut into
micro-batches or goes to several processes. Here each sample has its own key, and a layer's mask is
a hash of key and place, worked out on whole tensors: the same bits on every device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from convarium.data.counter import Stream, draw
from convarium.machine import sent

_LOW = 0x7FFFFFFF
_SERVED = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@contextmanager
def masks_by_sample(model: nn.Module, seed: int, step: int, ids: Tensor) -> Iterator[None]:
    """Within, dropout layers of `model` draw by sample; the backward pass belongs inside too.

    `nn.Dropout`, `nn.Dropout1d`, `2d` and `3d` are served. Which call of the step it is comes from
    torch's CPU generator, which the caller seeds by the step: a forward pass that is repeated in
    the backward pass (checkpointing) finds the same number again.

    Args:
        model: its dropout layers in train mode.
        seed: of the run.
        step: number of the step.
        ids: (N,) sample ids of the pictures that the model is about to see.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, _SERVED)]
    layers = [layer for layer in layers if layer.training and layer.p > 0]
    if not layers:
        yield
        return
    words = draw(seed, Stream.DROPOUT, step, ids.numpy()).tolist()
    keys = torch.tensor([[word & _LOW, word >> 33] for word in words], dtype=torch.int32)
    try:
        for layer in layers:
            layer.__dict__["forward"] = partial(_serve, layer, keys)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def pass_over() -> None:
    """Draws and forgets: a dropout layer's call that another process has."""
    torch.randint(_LOW, (1,), device="cpu")


def _serve(layer: nn.Module, keys: Tensor, x: Tensor) -> Tensor:
    call = int(torch.randint(_LOW, (1,), device="cpu"))
    p: float = layer.p  # type: ignore[assignment]
    shape = x.shape if isinstance(layer, nn.Dropout) else (*x.shape[:2], *[1] * (x.dim() - 2))
    kept = keep(sent(keys, x.device), call, shape, 1 - p).to(x.dtype)
    return x * (kept.div_(1 - p) if p < 1 else kept)


def keep(keys: Tensor, call: int, shape: tuple[int, ...], share: float) -> Tensor:
    """True in `share` of all places: (N, ...) bool of the given shape.

    Args:
        keys: (N, 2) int32, not negative.
        call: distinguishes the draws of one step.
        shape: of the tensor that is masked; N first.
        share: in [0, 1].

    Source:
        Wellons, "Prospecting for hash functions" (2018): lowbias32's constants, here on 31 bits.
    """
    count = torch.Size(shape[1:]).numel()
    places = torch.arange(count, dtype=torch.int32, device=keys.device)
    bits = places ^ (keys[:, :1] ^ call)  # (N, count)
    # Wraps around at 32 bits; masked, so that the shift brings in zeros.
    for factor, key in ((0x7FEB352D, keys[:, 1:]), (-0x7B935975, None), (0x31848BAB, None)):
        bits.mul_(factor).bitwise_and_(_LOW)
        bits.bitwise_xor_(bits >> 15)
        if key is not None:
            bits.bitwise_xor_(key)
    return (bits < share * 2**31).view(shape)
