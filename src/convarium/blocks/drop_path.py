"""Chance decisions about whole paths of a network, taken where the program runs."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from convarium.errors import UsageError


def survives(probability: float) -> bool:
    """True with `probability`: one draw from torch's CPU generator, none where it is certain.

    `torch.manual_seed` and a saved random state repeat it, and no accelerator is waited for.

    Raises:
        UsageError: under torch.export, which would keep this one decision for ever.
    """
    if probability >= 1:
        return True
    refuse_export("stochastic depth", "give every block the survival 1")
    draw: float = torch.rand(1, device="cpu").tolist()[0]
    return draw < probability


def refuse_export(method: str, way_out: str) -> None:
    """Says that a train-mode network which draws its paths cannot be exported.

    Raises:
        UsageError: torch.export is running.
    """
    if torch.compiler.is_exporting():
        raise UsageError(
            f"{method} draws its paths anew for each batch of training, which an exported program "
            f"cannot: call eval() before the export, or {way_out}."
        )


def is_recorded(x: Tensor) -> bool:
    """True while torch.fx records a network's layers, which knows of no chance.

    torchvision's `create_feature_extractor` has both modes recorded, whichever is used later: what
    draws its paths lets all of them be recorded, behind `refused_in_training`.
    """
    return isinstance(x, fx.Proxy)


def refused_in_training(x: Tensor, method: str) -> Tensor:
    """`x` where torch.fx records it; what was recorded says where it runs that it cannot train."""
    return _refuse_training(x, method)


@fx.wrap
def _refuse_training(x: Tensor, method: str) -> Tensor:
    raise UsageError(
        f"{method} draws its paths anew for each batch of training, which a network that torch.fx "
        "recorded cannot: call its eval(), or train the network itself."
    )
