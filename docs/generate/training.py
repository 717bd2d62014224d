"""The section of a family's page on its papers' recipes and on the short ones."""

from __future__ import annotations

from collections.abc import Sequence

from convarium import facts
from convarium.recipes import SHORT, recipe_for
from pieces import plain

_NOT_SHOWN = ("id", "source", "confidence")


def section(family: str, names: Sequence[str]) -> str:
    """How the papers trained these networks, and how `convarium train` does."""
    known = {name: facts.model_facts(name).recipe for name in names}
    ids = list(dict.fromkeys(recipe for recipe in known.values() if recipe))
    parts = ["## Training", *(_recipe(i, [n for n in names if known[n] == i]) for i in ids)]
    return "\n\n".join([*parts, _short(family, names)])


def _recipe(recipe: str, names: Sequence[str]) -> str:
    raw = facts.paper_recipes()[recipe]
    whom = ", ".join(f"`{name}`" for name in names)
    where = plain(str(raw.get("source", "source not noted")))
    mark = " (from memory)" if raw.get("confidence") == "memory" else ""
    lines = [
        f"- {plain(key.replace('_', ' '))}: {plain(str(value))}"
        for key, value in raw.items()
        if key not in _NOT_SHOWN and value is not None
    ]
    head = f"The paper's recipe `{recipe}`, of {whom} ({where}{mark}):"
    return head + "\n\n" + "\n".join(lines)


def _short(family: str, names: Sequence[str]) -> str:
    raced = [name for name in names if name in SHORT["small"]]
    kind, data = ("small", "digits") if raced else ("photographs", "my_pictures")
    name = raced[0] if raced else names[0]
    recipe = recipe_for(name, kind)
    return (
        "The short recipe, minutes and not the paper's days:\n\n"
        f"```\nconvarium train {name} --data {data}\n```\n\n"
        f"{recipe.epochs} epochs of SGD, batch {recipe.batch}, rate {recipe.lr:g} at its highest,"
        f" weight decay {recipe.weight_decay:g}, {recipe.schedule};"
        f" start: {'as in the paper' if recipe.init == 'paper' else 'unit variance, from data'}."
    )
