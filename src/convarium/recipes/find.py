"""The recipe that a user asks for by name, with fields set otherwise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from convarium.errors import UsageError, unknown_name
from convarium.recipes.model import Recipe
from convarium.recipes.short import recipe_for


def find_recipe(
    network: str, kind: str, asked: str = "short", overrides: Sequence[str] = ()
) -> Recipe:
    """The recipe of a network on data of a kind, with fields as `overrides` set them.

    Args:
        network: a name of the catalog.
        kind: of the data, "small" or "photographs".
        asked: "short".
        overrides: "field=value" each.

    Raises:
        UsageError: no such recipe or field, or a value that the field does not take.

    >>> find_recipe("lenet5", "small", overrides=["batch=64", "clip=none"]).batch
    64
    """
    if asked != "short":
        raise unknown_name("recipe", asked, ["short"])
    recipe = recipe_for(network, kind)
    known = [field.name for field in fields(Recipe) if field.name not in ("name", "sources")]
    changed: dict[str, Any] = {}
    for words in overrides:
        name, _, value = words.partition("=")
        if name not in known:
            raise unknown_name("field of a recipe", name, known)
        changed[name] = _value(value)
    if changed.get("iterations"):
        changed.setdefault("epochs", None)
    if changed.get("epochs"):
        changed.setdefault("iterations", None)
    try:
        return Recipe.from_dict({**recipe.to_dict(), **changed})
    except (TypeError, ValueError) as error:
        raise UsageError(f"--set {' '.join(overrides)}: {error}.") from error


def _value(text: str) -> Any:
    """A number, true, false, none, a list, or else the words themselves."""
    if text == "none":
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
