"""Train and eval mode of any module, also of one that has no `train()`."""

from __future__ import annotations

from torch import nn


def set_mode(model: nn.Module, *, training: bool) -> None:
    """Puts a network into train or eval mode; one of torch.export stays in that of its export."""
    try:
        model.train(training)
    except NotImplementedError:  # its graph has the mode built in
        for module in model.modules():
            module.training = training
