"""How a network is trained: one frozen object a recipe, sources beside the values. No torch."""

from convarium.recipes.choose import find_recipe
from convarium.recipes.compare import Difference, differences, told
from convarium.recipes.model import Recipe
from convarium.recipes.papers import PAPERS, paper_recipe
from convarium.recipes.reading import read_recipe, recipe_from_dict, with_overrides
from convarium.recipes.short import SHORT, recipe_for, short_named

__all__ = [
    "PAPERS",
    "SHORT",
    "Difference",
    "Recipe",
    "differences",
    "find_recipe",
    "paper_recipe",
    "read_recipe",
    "recipe_for",
    "recipe_from_dict",
    "short_named",
    "told",
    "with_overrides",
]
