"""How a picture file becomes a network's input, as the test pictures of its training did."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convarium.data.augment import centre_crop
from convarium.data.model import Dataset, Scale
from convarium.data.packed.fit import fit
from convarium.data.pictures import BadPicturesError, decode, strict_pillow


@dataclass(frozen=True, slots=True)
class InputForm:
    """Sides in pixels: files are decoded at `decode_side`, the middle of `side` is taken.

    A `decode_side` below `side`: the picture is centred on a background of 0.
    """

    side: int
    decode_side: int
    channels: int
    scale: Scale

    @classmethod
    def of(cls, dataset: Dataset) -> InputForm:
        """As the data set's own test pictures are read."""
        decode_side = dataset.drawn_px or dataset.train.images([0]).shape[-1]
        return cls(dataset.side, decode_side, dataset.channels, dataset.scale)

    def read(self, paths: Sequence[Path]) -> tuple[Tensor, list[Path], dict[Path, str]]:
        """The readable ones as (N, C, side, side) float32, their paths, and the others' reasons."""
        job = partial(_decoded, side=self.decode_side, channels=self.channels)
        with strict_pillow(), ThreadPoolExecutor(4) as pool:
            outcomes = list(zip(paths, pool.map(job, paths), strict=True))
        good = [(path, found) for path, found in outcomes if not isinstance(found, str)]
        bad = {path: found for path, found in outcomes if isinstance(found, str)}
        shape = (0, self.channels, self.decode_side, self.decode_side)
        pixels = np.stack([p for _, p in good]) if good else np.empty(shape, np.uint8)
        drawn = torch.from_numpy(pixels)
        if self.decode_side < self.side:
            drawn = fit(drawn, self.side, self.channels)
        images = self.scale(centre_crop(drawn, self.side))
        return images, [path for path, _ in good], bad


def _decoded(path: Path, side: int, channels: int) -> npt.NDArray[np.uint8] | str:
    try:
        return decode(path, side, channels)
    except BadPicturesError as error:
        return error.files[0][1]
