"""One picture under each augmentation, drawn as a labelled sheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from convarium.data.model import Dataset, InMemory, OnDisk, PixelScale, Split, Store
from convarium.data.normalise import GCN_SCALE, contrast_normalised
from convarium.data.pictures import decode
from convarium.data.views import training_views
from convarium.recipes import Recipe

TILE = 160  # side of a view on the sheet, in pixels
_GAP, _LABEL, _MARGIN = 12, 168, 24
_INK, _SOFT, _PAPER = (28, 30, 36), (110, 114, 124), (250, 250, 248)
_PLAIN = Recipe(name="plain", lr=0.1, epochs=1, shift_px=0)
_LEVELS = PixelScale((0.0, 0.0, 0.0), (1 / 255,) * 3)  # leaves levels as they are


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the sheet: its name, the recipe's words for it, and its pictures."""

    title: str
    words: str
    tiles: tuple[Image.Image, ...]


def augmentation_rows(path: Path, *, seed: int, count: int, side: int = 224) -> list[Row]:
    """Each augmentation by itself on one picture, `count` views of each.

    Raises:
        BadPicturesError: the picture cannot be read.
    """
    pad = side // 8
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("mirror", "mirror", {"mirror": True}),
        ("random crop", "crop", {"crop": True}),
        ("shift, border repeated", f"shift_px {pad}", {"shift_px": pad}),
        ("shift, border zero", "border zero", {"shift_px": pad, "border": "zero"}),
        ("shift, border reflected", "border reflect", {"shift_px": pad, "border": "reflect"}),
        ("resized crop", "area 8 to 100 %", {"area": (0.08, 1.0)}),
        (
            "scale jitter",
            f"short_side {side * 8 // 7} to {side * 16 // 7}",
            {"short_side": (side * 8 // 7, side * 16 // 7), "crop": True},
        ),
        ("colour noise", "pca_sigma 0.1", {"pca_sigma": 0.1}),
        ("colour jitter", "jitter 0.4", {"jitter": 0.4}),
    ]
    rows = [_original(path, side)]
    for title, words, changes in kinds:
        recipe = replace(_PLAIN, **changes)
        rows.append(Row(title, words, _views(path, recipe, side, seed=seed, count=count)))
    return rows


def recipe_rows(path: Path, recipe: Recipe, *, seed: int, count: int, side: int) -> list[Row]:
    """Four rows of views as a recipe draws them, before its normalisation.

    Raises:
        BadPicturesError: the picture cannot be read.
    """
    tiles = _views(path, recipe, side, seed=seed, count=4 * count)
    lines = [tiles[start : start + count] for start in range(0, len(tiles), count)]
    first = Row("views", recipe.name, tuple(lines[0]))
    return [_original(path, side), first, *(Row("", "", tuple(line)) for line in lines[1:])]


def draw_sheet(rows: list[Row], title: str) -> Image.Image:
    """The rows under a title, their names at the left."""
    count = max(len(row.tiles) for row in rows)
    width = 2 * _MARGIN + _LABEL + count * (TILE + _GAP) - _GAP
    height = 2 * _MARGIN + 40 + len(rows) * (TILE + _GAP) - _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    large, normal, small = (ImageFont.load_default(size) for size in (20, 15, 12))
    pen.text((_MARGIN, _MARGIN - 4), title, fill=_INK, font=large)
    for place, row in enumerate(rows):
        top = _MARGIN + 40 + place * (TILE + _GAP)
        pen.text((_MARGIN, top + TILE // 2 - 20), row.title, fill=_INK, font=normal)
        pen.text((_MARGIN, top + TILE // 2 + 4), row.words, fill=_SOFT, font=small)
        for column, tile in enumerate(row.tiles):
            left = _MARGIN + _LABEL + column * (TILE + _GAP)
            sheet.paste(tile.resize((TILE, TILE), Image.Resampling.LANCZOS), (left, top))
    return sheet


def _original(path: Path, side: int) -> Row:
    plain = Image.fromarray(decode(path, side, 3).transpose(1, 2, 0))
    pixels = torch.from_numpy(decode(path, side, 3))[None]
    flat = contrast_normalised(pixels).view(pixels.shape)
    spread = GCN_SCALE / (pixels[0].numel() ** 0.5)  # deviation that every picture gets
    grey = (128 + flat * (48 / spread)).clamp(0, 255)
    tiles = plain, next(_pictures(grey))
    return Row("as decoded", "and contrast normalised", tiles)


def _views(
    path: Path, recipe: Recipe, side: int, *, seed: int, count: int
) -> tuple[Image.Image, ...]:
    """`count` epochs of a data set that is this one picture."""
    resized = recipe.area is not None or recipe.short_side is not None
    decode_side = round(side * 8 / 7) if recipe.crop else side
    pixels = torch.from_numpy(decode(path, decode_side, 3))[None]
    store: Store = OnDisk((path,), decode_side, 3) if resized else InMemory(pixels)
    split = Split(torch.zeros(1, dtype=torch.int64), (path.name,), store, torch.zeros(1).long())
    mean = pixels.float().mean((0, 2, 3))
    # Zero is the mean colour to a network: levels less their mean, which is put back for the eye.
    shares = tuple((mean / 255).tolist())
    scale = PixelScale(shares, _LEVELS.std)
    data = Dataset("picture", "photographs", ("it",), 3, side, split, split, "", "", scale)
    views = training_views(data, recipe)
    ids = torch.zeros(1, dtype=torch.int64)
    drawn = torch.cat([views(ids, seed=seed, epoch=epoch) for epoch in range(1, count + 1)])
    return tuple(_pictures((drawn + mean.view(1, 3, 1, 1)).clamp(0, 255)))


def _pictures(levels: Tensor) -> Iterator[Image.Image]:
    """(N, 3, H, W) levels -> a picture each."""
    for picture in levels.round().to(torch.uint8).numpy():
        yield Image.fromarray(picture.transpose(1, 2, 0))
