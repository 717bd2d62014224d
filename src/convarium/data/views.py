"""Training views: what a network is shown of each picture in an epoch, by its recipe.

In order: the window of a resized crop or of scale jitter; colour jitter; colour noise; the
normalisation; then crop, shift and mirror. So a "zero" border is zero as the network sees it, as
ResNet's is (section 4.2), which pads pictures whose mean was taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from convarium.data.augment import Window, centre_crop, windows
from convarium.data.boxes import boxed
from convarium.data.colour import colour_axes, jittered, pca_noise
from convarium.data.model import Dataset, Split
from convarium.recipes import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The views of one training split; each is a pure function of (seed, epoch, sample id)."""

    dataset: Dataset
    split: Split
    recipe: Recipe
    axes: Tensor | None = None  # of the colour noise

    def __call__(self, ids: Tensor, *, seed: int, epoch: int) -> Tensor:
        """(N,) sample ids -> (N, C, side, side) float32.

        Raises:
            BadPicturesError: lists every file of the batch that cannot be decoded.
        """
        recipe, side = self.recipe, self.dataset.side
        resized = recipe.area is not None or recipe.short_side is not None
        if resized:
            levels = boxed(self.split, ids, recipe, side, seed=seed, epoch=epoch)
        else:
            levels = self.split.images(ids)
        if recipe.jitter:
            levels = jittered(levels.float(), ids, recipe.jitter, seed=seed, epoch=epoch)
        if self.axes is not None:
            sigma = recipe.pca_sigma
            levels = pca_noise(levels.float(), ids, self.axes, sigma, seed=seed, epoch=epoch)
        images = self.dataset.scale(levels)
        if not recipe.crop:
            images = centre_crop(images, side)
        window = Window(side, recipe.shift_px, recipe.border, recipe.mirror)
        return windows(images, ids, window, seed=seed, epoch=epoch)


def training_views(dataset: Dataset, recipe: Recipe, split: Split | None = None) -> Views:
    """The views by which `recipe` shows the training split, or the part `split` of it.

    `dataset` is one of `normalised`: its scale is the recipe's.
    """
    split = dataset.train if split is None else split
    return Views(dataset, split, recipe, colour_axes(split) if recipe.pca_sigma else None)
