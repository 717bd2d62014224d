"""How two recipes differ, and what every training says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from convarium.errors import UsageError, counted
from convarium.recipes.model import Recipe
from convarium.recipes.papers import paper_recipe

_NOT_COMPARED = ("name", "sources", "detection")
_LENGTHS = ("epochs", "iterations")


class Difference(NamedTuple):
    """One field that two recipes do not share; `source` is where the other's value comes from."""

    field: str
    ours: Any
    theirs: Any
    source: str


def differences(recipe: Recipe, other: Recipe) -> list[Difference]:
    """The fields in which `recipe` differs from `other`, in the order of the dataclass.

    >>> mine, theirs = Recipe("a", lr=0.1, epochs=2), Recipe("b", lr=0.2, epochs=2)
    >>> [tuple(d) for d in differences(mine, theirs)]
    [('lr', 0.1, 0.2, '')]
    """
    return [
        Difference(f.name, getattr(recipe, f.name), getattr(other, f.name), other.source_of(f.name))
        for f in fields(Recipe)
        if f.name not in _NOT_COMPARED and getattr(recipe, f.name) != getattr(other, f.name)
    ]


def told(recipe: Recipe, network: str, *, minutes: float | None = None) -> str:
    """One line: how a training by `recipe` differs from the recipe of the network's paper.

    Args:
        recipe: as the run has it.
        network: of the catalog, or an alias.
        minutes: that the run takes, whatever the recipe's length.

    Raises:
        UsageError: no such network.
    """
    try:
        paper = paper_recipe(network)
    except UsageError:
        return f"no paper's recipe to compare with: the ledger has none that trains {network}"
    found = differences(recipe, paper)
    if not found and minutes is None:
        return f"as {paper.name}, the paper's recipe"
    lengths = [d for d in found if d.field in _LENGTHS]
    ours = length_words(recipe) if minutes is None else f"{minutes:g} minutes"
    parts = [f"{ours} for {length_words(paper)}"] if lengths or minutes else []
    parts += [f"{d.field} {words(d.ours)} for {words(d.theirs)}" for d in found if d not in lengths]
    return f"differs from {paper.name}, the paper's recipe: {'; '.join(parts)}"


def words(value: Any) -> str:
    """A value for people.

    >>> [words(v) for v in (None, True, (256.0, 480.0), {"dropout": 0.3}, 1e-05)]
    ['none', 'yes', '256 to 480', 'dropout 0.3', '1e-05']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == {}:
        return "none"
    if isinstance(value, (tuple, list)):
        return " to ".join(map(words, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {words(v)}" for name, v in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def length_words(recipe: Recipe) -> str:
    """Its whole length, as "200 epochs"."""
    if recipe.epochs is not None:
        return counted(recipe.epochs, "epoch")
    return f"{recipe.iterations} iterations"
