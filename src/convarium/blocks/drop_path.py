"""Chance decisions about whole paths of a network, taken where the program runs."""

from __future__ import annotations

import torch


def survives(probability: float) -> bool:
    """True with `probability`: one draw from torch's CPU generator.

    `torch.manual_seed` and a saved random state repeat it, and no accelerator is waited for.
    """
    draw: float = torch.rand(1, device="cpu").tolist()[0]
    return draw < probability
