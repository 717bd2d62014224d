"""How a network is trained: one frozen object a recipe, sources beside the values. No torch."""

from convarium.recipes.find import find_recipe
from convarium.recipes.model import Recipe
from convarium.recipes.short import SHORT, recipe_for

__all__ = ["SHORT", "Recipe", "find_recipe", "recipe_for"]
