"""FractalNet: Larsson, Maire & Shakhnarovich 2017 (arXiv 1605.07648), figures 1 and 2, section 4.

f_1 is one convolution; f_(C+1) = join(f_C of f_C, one convolution). So column k of C (1 the
shallowest) has 2^(k-1) convolutions, each as long as 2^(C-k) of the deepest column's, and columns
that end at the same row are joined there: adjacent joins are one, the mean of all its live inputs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from convarium.blocks.caffe_fill import xavier_
from convarium.blocks.drop_path import is_recorded, refuse_export, refused_in_training
from convarium.blocks.inputs import check_map, check_picture
from convarium.errors import UsageError

# Five blocks on CIFAR and SVHN: filters as multiples of the first block's, and dropout (section 4).
FILTERS = (1, 2, 4, 8, 8)
DROPOUT = (0.0, 0.1, 0.2, 0.3, 0.4)
# Four blocks between the first and the last layers of ResNet-34 on ImageNet.
IMAGENET_FILTERS = (128, 256, 512, 1024)

Joins = Mapping[int, tuple[int, ...]]  # row of a block -> columns that are live where it joins


class ConvBNReLU(nn.Sequential):
    """conv 3x3 - dropout - BN - ReLU.

    Paper silent: where dropout goes, and that convolutions have biases; both are the generator's
    that the authors released.
    """

    def __init__(self, in_channels: int, filters: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, 3, padding=1)
        if dropout:
            self.drop = nn.Dropout(dropout)
        self.norm = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU()


class Join(nn.Module):
    """The element-wise mean of the columns that are live."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return sum(maps[1:], start=maps[0]) / len(maps) if len(maps) > 1 else maps[0]


class FractalBlock(nn.Module):
    """f_C. `forward` computes the convolutions that lead to the block's end, and no other."""

    def __init__(self, in_channels: int, filters: int, columns: int, dropout: float) -> None:
        super().__init__()
        self.rows = 2 ** (columns - 1)
        for k in range(1, columns + 1):
            widths = [in_channels] + [filters] * 2 ** (k - 1)
            convs = (ConvBNReLU(a, b, dropout) for a, b in pairwise(widths))
            self.add_module(f"column{k}", nn.Sequential(*convs))
        self.join = Join()

    def forward(self, x: Tensor, live: Joins) -> Tensor:
        maps = {0: x}  # row -> what the columns that start behind it read, (N, C, H, W)
        for row, columns in self._needed(live):
            maps[row] = self.join([self._step(k, row, maps) for k in columns])
        return maps[self.rows]  # (N, filters, H, W)

    def _needed(self, live: Joins) -> list[tuple[int, tuple[int, ...]]]:
        """The rows, first to last, from which a live way leads to the end, with live columns."""
        wanted = {self.rows}
        for row in range(self.rows, 0, -1):
            if row in wanted:
                wanted |= {row - self.rows // 2 ** (k - 1) for k in live[row]}
        return [(row, live[row]) for row in sorted(wanted - {0})]

    def _step(self, k: int, row: int, maps: Mapping[int, Tensor]) -> Tensor:
        """The convolution of column k that ends at `row`."""
        length = self.rows // 2 ** (k - 1)
        conv = self.get_submodule(f"column{k}.{row // length - 1}")
        return conv(maps[row - length])


class _Fractal(nn.Module):
    """What the two networks share: which columns are live at which join, and their drop-path.

    Section 3: while training, half of the mini-batches are local - each join drops each input with
    probability 0.15 and keeps at least one - and half are global: one random column is left in
    the whole network. Evaluation takes all columns, or the one that `use_column` has named.
    """

    LOCAL_DROP = 0.15
    GLOBAL_SHARE = 0.5

    def __init__(self, columns: int, blocks: int) -> None:
        super().__init__()
        if columns < 1:
            raise UsageError(f"FractalNet: columns must be at least 1, not {columns}.")
        self.columns, self.blocks = columns, blocks
        self._column: int | None = None

    def use_column(self, column: int | None) -> None:
        """Computes one column alone from now on, training or not; None gives all back.

        Args:
            column: 1, the shallowest, to `columns`, the deepest.

        Raises:
            UsageError: there is no such column.
        """
        if column is not None and not 1 <= column <= self.columns:
            raise UsageError(f"FractalNet: column is 1 to {self.columns} or None, not {column}.")
        self._column = column

    def live_joins(self) -> list[Joins]:
        """What one forward pass computes, a block an entry; drawn anew at each call in training."""
        if self._column is not None:
            return self.blocks * [one_column(self.columns, self._column)]
        if not self.training:
            return self.blocks * [all_columns(self.columns)]
        refuse_export("FractalNet", "name one column with use_column()")
        if _uniform(1)[0] < self.GLOBAL_SHARE:
            column = 1 + int(_uniform(1)[0] * self.columns)
            return self.blocks * [one_column(self.columns, column)]
        return [drop_locally(self.columns, self.LOCAL_DROP) for _ in range(self.blocks)]

    def _drawn(self, x: Tensor) -> tuple[Tensor, list[Joins]]:
        """The picture, and the joins of this pass: all of them where torch.fx records training."""
        if self.training and self._column is None and is_recorded(x):
            return refused_in_training(x, "FractalNet"), self.blocks * [all_columns(self.columns)]
        return x, self.live_joins()


class FractalNetCIFAR(_Fractal):
    """Five blocks, each followed by 2x2 max pooling, then a linear layer (section 4).

    Takes images (N, in_channels, 32, 32) float32, gives logits (N, num_classes).

    Args:
        columns: C; the depth is 5 * 2^(C-1).
        filters: of the first block.
    """

    def __init__(
        self, columns: int, filters: int, *, in_channels: int = 3, num_classes: int = 10
    ) -> None:
        super().__init__(columns, len(FILTERS))
        self.in_channels = in_channels
        width = in_channels
        for i, (times, dropout) in enumerate(zip(FILTERS, DROPOUT, strict=True), start=1):
            self.add_module(f"block{i}", FractalBlock(width, times * filters, columns, dropout))
            # Paper disagrees: figure 1 pools behind the last join, the released generator each
            # column before it. The figure it is.
            self.add_module(f"pool{i}", nn.MaxPool2d(2))
            width = times * filters
        self.prediction = nn.Linear(width, num_classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="FractalNet", channels=self.in_channels, least=32)
        x, joins = self._drawn(x)
        for i, live in enumerate(joins, start=1):
            x = self.get_submodule(f"block{i}")(x, live)
            x = self.get_submodule(f"pool{i}")(x)  # sides 16, 8, 4, 2, 1
        check_map(x, net="FractalNet", layer="prediction", side=1, native=32)
        return self.prediction(x.flatten(1))  # (N, num_classes)


class FractalNetImageNet(_Fractal):
    """FractalNet-34: ResNet-34 with four blocks of four columns in its middle (section 4).

    Takes images (N, in_channels, 224, 224) float32, gives logits (N, num_classes).
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000) -> None:
        super().__init__(columns=4, blocks=len(IMAGENET_FILTERS))
        self.in_channels = in_channels
        self.stem = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, 64, 7, stride=2, padding=3),
                norm1=nn.BatchNorm2d(64),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(3, stride=2, padding=1),
            )
        )
        for i, (width, filters) in enumerate(pairwise((64, *IMAGENET_FILTERS)), start=1):
            # Paper silent: on dropout here; none.
            self.add_module(f"block{i}", FractalBlock(width, filters, self.columns, dropout=0.0))
        self.pool = nn.MaxPool2d(2)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.prediction = nn.Linear(IMAGENET_FILTERS[-1], num_classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        check_picture(x, net="FractalNet", channels=self.in_channels, least=29)
        x, joins = self._drawn(x)
        x = self.stem(x)  # (N, 64, 56, 56)
        for i, live in enumerate(joins, start=1):
            x = self.get_submodule(f"block{i}")(x, live)  # sides 56, 28, 14, 7
            x = self.pool(x) if i < self.blocks else x
        return self.prediction(self.global_pool(x).flatten(1))  # (N, num_classes)


def all_columns(columns: int) -> Joins:
    """Every column live at each row of a block where it ends.

    >>> all_columns(3)
    {1: (3,), 2: (2, 3), 3: (3,), 4: (1, 2, 3)}
    """
    rows = 2 ** (columns - 1)
    return {
        row: tuple(k for k in range(1, columns + 1) if row % (rows // 2 ** (k - 1)) == 0)
        for row in range(1, rows + 1)
    }


def one_column(columns: int, column: int) -> Joins:
    """Column `column` alone at each row where it ends."""
    return {row: (column,) for row, ends in all_columns(columns).items() if column in ends}


def drop_locally(columns: int, probability: float) -> Joins:
    """Each input of a join dropped with `probability`; where all are, one at random stays."""
    live = {}
    for row, ends in all_columns(columns).items():
        kept = tuple(k for k, u in zip(ends, _uniform(len(ends)), strict=True) if u >= probability)
        live[row] = kept or (ends[int(_uniform(1)[0] * len(ends))],)
    return live


def _uniform(count: int) -> list[float]:
    """Numbers in [0, 1) of torch's CPU generator: the seed and the checkpoint hold its state."""
    return torch.rand(count, device="cpu").tolist()


def _initialise(module: nn.Module) -> None:
    # Section 4: Xavier; the authors trained with Caffe, whose filler takes the fan-in.
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        xavier_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
