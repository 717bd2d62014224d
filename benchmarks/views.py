"""Milliseconds a batch of training views, beside one index of four arrays for the whole batch.

python benchmarks/views.py [--data DIR] [--batch 128] [--rounds 200] [--border zero|repeat|reflect]

CIFAR's augmentation (shift 4, mirror, mean and deviation of each channel) on one thread; pictures
at random where no data set is given. The peer is the plain way with PyTorch alone: pad, then index
by sample, map, row and column.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from statistics import median, quantiles
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from convarium.data import Dataset, PixelScale, Split, load_dataset, training_views
from convarium.data.counter import Stream, integers
from convarium.data.model import InMemory
from convarium.machine.describe import processor
from convarium.recipes import Recipe

SHIFT = 4
RECIPE = Recipe(name="CIFAR", lr=0.1, epochs=1, shift_px=SHIFT, border="zero", mirror=True)
MODE = {"zero": "constant", "repeat": "replicate", "reflect": "reflect"}  # as torch names them


def indexed(data: Dataset, ids: Tensor, epoch: int, border: str) -> Tensor:
    """The peer: the same views by advanced indexing."""
    images = F.pad(data.scale(data.train.images(ids)), (SHIFT,) * 4, MODE[border])
    numbers, steps = ids.numpy(), torch.arange(data.side)
    top = torch.from_numpy(integers(0, Stream.SHIFT_DOWN, epoch, numbers, 2 * SHIFT + 1))
    left = torch.from_numpy(integers(0, Stream.SHIFT_RIGHT, epoch, numbers, 2 * SHIFT + 1))
    flips = torch.from_numpy(integers(0, Stream.MIRROR, epoch, numbers, 2)) == 1
    rows, columns = top[:, None] + steps, left[:, None] + steps
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    batch = torch.arange(len(images))[:, None, None, None]
    maps = torch.arange(images.shape[1])[None, :, None, None]
    return images[batch, maps, rows[:, None, :, None], columns[:, None, None, :]]


def main() -> None:
    """Prints both medians, their middle halves and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--border", choices=MODE, default="zero")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset(asked.data) if asked.data else _random()
    views = training_views(data, replace(RECIPE, border=asked.border))
    ids = torch.randint(len(data.train), (asked.rounds, asked.batch))
    assert torch.equal(views(ids[0], seed=0, epoch=1), indexed(data, ids[0], 1, asked.border))
    times: dict[str, list[float]] = {"views": [], "indexed": []}
    ways: dict[str, Callable[[Tensor, int], object]] = {
        "views": lambda batch, epoch: views(batch, seed=0, epoch=epoch),
        "indexed": lambda batch, epoch: indexed(data, batch, epoch, asked.border),
    }
    for epoch, batch in enumerate(ids):
        for name, way in ways.items():  # in turns
            begin = perf_counter()
            way(batch, epoch)
            times[name].append(1000 * (perf_counter() - begin))
    print(f"{processor()}, 1 thread, batch {asked.batch} of {data.name}, {asked.rounds} rounds")
    for name, taken in times.items():
        low, _, high = quantiles(taken, n=4)
        print(f"{name:8}  {median(taken):6.2f} ms  (middle half {low:.2f} to {high:.2f})")
    print(f"ratio     {median(times['indexed']) / median(times['views']):6.2f}")


def _random() -> Dataset:
    pixels = torch.randint(0, 256, (2000, 3, 32, 32), dtype=torch.uint8)
    rows = torch.arange(len(pixels))
    split = Split(rows % 10, tuple(map(str, rows.tolist())), InMemory(pixels), rows)
    scale = PixelScale((0.5,) * 3, (0.25,) * 3)
    classes = tuple("abcdefghij")
    return Dataset("random", "small", classes, 3, 32, split, split, "", "", scale)


if __name__ == "__main__":
    main()
