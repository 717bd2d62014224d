"""Layers whose names end in a number, such as VGG's conv3_1, under which extractors find them."""

from __future__ import annotations

from torch import nn


class Conv2d(nn.Conv2d):
    """torch's own, of another package: torchvision's `create_feature_extractor` looks into those.

    Of torch's it strips "_1" from the name and counts anew, so that `features.conv3_1` would give
    the maps of conv3_2.
    """


class ReLU(nn.ReLU):
    """torch's own; for the same reason."""
