"""DenseNet: Huang, Liu, van der Maaten & Weinberger 2017 (arXiv 1608.06993), Table 1, section 3."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import sqrt

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from convarium.blocks.inputs import check_picture
from convarium.errors import UsageError

# Depth: layers in dense blocks (1) to (4), growth rate k. All have bottlenecks and theta 0.5.
# Paper disagrees: by the rule that counts 121, 169 and 201 right, DenseNet-264 has 265 layers.
TABLE_1 = {
    121: ((6, 12, 24, 16), 32),
    169: ((6, 12, 32, 32), 32),
    201: ((6, 12, 48, 32), 32),
    264: ((6, 12, 64, 48), 32),
    161: ((6, 12, 36, 24), 48),  # of the authors' code and readme, not of the table
}


@dataclass(frozen=True, slots=True)
class Design:
    """What all layers of one network share: section 3's k, bottleneck and theta; dropout, memory.

    `save_memory` trades compute for memory: the maps that a layer concatenates and normalises are
    not kept for the backward pass but made again. Numbers, gradients and statistics stay equal.
    """

    growth: int
    bottleneck: bool
    theta: float
    dropout: float = 0.0
    save_memory: bool = False


class BNReLUConv(nn.Sequential):
    """The composite function of three operations (section 3), then dropout if there is any."""

    def __init__(self, in_channels: int, filters: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(in_channels, filters, kernel, padding=kernel // 2, bias=False)
        if dropout:
            self.drop = nn.Dropout(dropout)


class DenseLayer(nn.Module):
    """H_l: k new maps from all maps before it; with a bottleneck, a 1x1 of 4k comes first."""

    def __init__(self, in_channels: int, design: Design) -> None:
        super().__init__()
        k, self.save_memory = design.growth, design.save_memory
        if design.bottleneck:
            self.first = BNReLUConv(in_channels, 4 * k, 1, design.dropout)
            self.second: nn.Module = BNReLUConv(4 * k, k, 3, design.dropout)
        else:
            self.first = BNReLUConv(in_channels, k, 3, design.dropout)
            self.second = nn.Identity()

    def forward(self, *maps: Tensor) -> Tensor:
        if self.save_memory:
            quiet = partial(_forward_and_again, self.first.norm)
            x = checkpoint(self._join, *maps, use_reentrant=False, context_fn=quiet)
        else:
            x = self._join(*maps)  # (N, 4k, H, W), or (N, k, H, W) without a bottleneck
        return self.second(x)  # (N, k, H, W)

    def _join(self, *maps: Tensor) -> Tensor:
        return self.first(maps[0] if len(maps) == 1 else torch.cat(maps, 1))


class DenseBlock(nn.Module):
    """Layers of which each reads the block's input and all layers before it (figure 1)."""

    def __init__(self, in_channels: int, layers: int, design: Design) -> None:
        super().__init__()
        self.save_memory = design.save_memory
        for i in range(layers):
            self.add_module(f"layer{i + 1}", DenseLayer(in_channels + i * design.growth, design))

    def forward(self, x: Tensor) -> Tensor:
        if self.save_memory:  # a layer joins the maps itself, so that it can forget them
            maps = [x]  # (N, C, H, W)
            for layer in self.children():
                maps.append(layer(*maps))
            return torch.cat(maps, 1)  # (N, C + layers * k, H, W)
        # What was joined before is joined on: its gradient comes back as one, not map by map.
        for layer in self.children():
            x = torch.cat((x, layer(x)), 1)  # (N, C + i * k, H, W) behind layer i
        return x


class DenseNet(nn.Module):
    """Table 1: convolution, pooling, dense blocks with transition layers between, classification.

    Takes images (N, in_channels, 224, 224) float32, gives logits (N, num_classes).

    Args:
        depth: a column of Table 1, or 161.
        save_memory: see Design.
    """

    def __init__(
        self,
        depth: int,
        *,
        save_memory: bool = False,
        in_channels: int = 3,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        if depth not in TABLE_1:
            known = ", ".join(str(d) for d in TABLE_1)
            raise UsageError(f"DenseNet: depth is one of {known}, not {depth}.")
        layers, k = TABLE_1[depth]
        design = Design(k, bottleneck=True, theta=0.5, save_memory=save_memory)
        stem: OrderedDict[str, nn.Module] = OrderedDict(
            convolution=nn.Conv2d(in_channels, 2 * k, 7, stride=2, padding=3, bias=False),
            norm=nn.BatchNorm2d(2 * k),
            relu=nn.ReLU(),
            pooling=nn.MaxPool2d(3, stride=2, padding=1),
        )
        stages, width = _stages(2 * k, layers, design)
        self.in_channels = in_channels
        self.features = nn.Sequential(stem | stages)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, num_classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="DenseNet", channels=self.in_channels, least=29)
        x = self.features(x)  # (N, 1024, 7, 7) in DenseNet-121
        return self.classifier(self.global_pool(x).flatten(1))  # (N, num_classes)


class DenseNetCIFAR(nn.Module):
    """Section 3: a 3x3 convolution, three equal dense blocks of plain layers, theta 1.

    Takes images (N, in_channels, 32, 32) float32, gives logits (N, num_classes).

    Args:
        depth: 3n + 4 with n layers a block; 6n + 4 in DenseNet-BC.
        growth: k.
        dropout: after each convolution but the first. The paper has 0.2 on data that is not
            augmented and none on data that is.
        save_memory: see Design.

    Raises:
        UsageError: no such depth.
    """

    bottleneck = False

    def __init__(
        self,
        depth: int,
        growth: int,
        *,
        dropout: float = 0.0,
        save_memory: bool = False,
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        step = 6 if self.bottleneck else 3
        if depth <= 4 or (depth - 4) % step:
            raise UsageError(f"DenseNet: depth must be {step}n + 4 here, {depth} is not.")
        theta = 0.5 if self.bottleneck else 1.0
        design = Design(growth, self.bottleneck, theta, dropout, save_memory)
        width = 2 * growth if self.bottleneck else 16
        stem: OrderedDict[str, nn.Module] = OrderedDict(
            convolution=nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        )
        stages, width = _stages(width, 3 * ((depth - 4) // step,), design)
        self.in_channels = in_channels
        self.features = nn.Sequential(stem | stages)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, num_classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="DenseNet", channels=self.in_channels, least=4)
        x = self.features(x)  # (N, C, 8, 8)
        return self.classifier(self.global_pool(x).flatten(1))  # (N, num_classes)


class DenseNetBCCIFAR(DenseNetCIFAR):
    """DenseNet-BC: layers with bottlenecks, theta 0.5, and 2k filters in the first convolution."""

    bottleneck = True


def _stages(
    width: int, layers: tuple[int, ...], design: Design
) -> tuple[OrderedDict[str, nn.Module], int]:
    """dense_block1, transition1, .. and the last BN-ReLU; and how many maps come out."""
    rows: OrderedDict[str, nn.Module] = OrderedDict()
    for i, count in enumerate(layers, start=1):
        rows[f"dense_block{i}"] = DenseBlock(width, count, design)
        width += count * design.growth
        if i < len(layers):
            kept = int(width * design.theta)
            rows[f"transition{i}"] = nn.Sequential(
                BNReLUConv(width, kept, 1, design.dropout), nn.AvgPool2d(2)
            )
            width = kept
    rows["last_norm"], rows["last_relu"] = nn.BatchNorm2d(width), nn.ReLU()
    return rows, width


def _forward_and_again(
    norm: nn.BatchNorm2d,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The contexts of a checkpoint's two passes."""
    return nullcontext(), _statistics_kept(norm)


@contextmanager
def _statistics_kept(norm: nn.BatchNorm2d) -> Iterator[None]:
    """Normalises as before and leaves the running statistics: the first pass has moved them."""
    momentum, counted = norm.momentum, norm.num_batches_tracked
    assert counted is not None
    batches = counted.clone()
    norm.momentum = 0.0
    try:
        yield
    finally:
        norm.momentum = momentum
        counted.copy_(batches)


def _initialise(module: nn.Module) -> None:
    # Section 4.2: as He et al.; the authors' code takes the fan-out, N(0, 2 / (k * k * filters)),
    # sets the classifier's bias to 0 and leaves its weight to Torch: U(-a, a), a = 1 / sqrt(width).
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(module, nn.Linear):
        bound = 1 / sqrt(module.in_features)
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)
