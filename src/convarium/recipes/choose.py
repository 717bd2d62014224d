"""Which recipe a training takes: the short one, the paper's, another by name, or a file's."""

from __future__ import annotations

import os
from collections.abc import Iterable

from convarium import catalog
from convarium.errors import unknown_name
from convarium.recipes.model import Recipe
from convarium.recipes.papers import PAPERS, paper_recipe, trainable
from convarium.recipes.reading import read_recipe, with_overrides
from convarium.recipes.short import recipe_for


def find_recipe(
    network: str,
    kind: str,
    asked: str = "short",
    overrides: Iterable[str] = (),
    *,
    train_size: int | None = None,
) -> Recipe:
    """The recipe for a training of `network`.

    Args:
        network: of the catalog, or an alias.
        kind: of the data, "small" or "photographs".
        asked: "short", "paper" (of this network), a recipe's name, or a path to a TOML file.
        overrides: `field=value` words of `--set`.
        train_size: training pictures, which the short recipe goes by.

    Raises:
        UsageError: an unknown name, field or value; no paper's recipe; or a detector's.
        InputError: a file that cannot be read.

    >>> find_recipe("resnet20_cifar", "small", "paper", ["batch=64"]).batch
    64
    """
    name = catalog.find(network).name
    if asked == "short":
        recipe = recipe_for(name, kind, train_size)
    elif asked == "paper":
        recipe = paper_recipe(name)
    elif asked in PAPERS:
        recipe = paper_recipe(name, asked)
    elif asked.endswith(".toml") or os.sep in asked:
        recipe = trainable(read_recipe(asked))
    else:
        raise unknown_name("recipe", asked, ["short", "paper", *PAPERS])
    words = list(overrides)
    return with_overrides(recipe, words) if words else recipe
