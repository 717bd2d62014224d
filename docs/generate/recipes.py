"""The page of the recipes: a table from the objects, and how to write one's own."""

from __future__ import annotations

from pathlib import Path

from convarium.recipes import PAPERS, Recipe
from convarium.recipes.papers import networks_of, said_of
from convarium.recipes.schedule import FORMS
from pieces import page, table

PROSE = Path(__file__).parent.parent / "families" / "prose" / "recipes.txt"


def recipes() -> dict[str, str]:
    """The page: path below docs and text."""
    rows = [_row(recipe) for recipe in PAPERS.values() if not recipe.detection]
    detectors = [_row(recipe) for recipe in PAPERS.values() if recipe.detection]
    header = ("recipe", "networks", "length", "batch", "rate", "schedule", "warm-up", "source")
    forms = "\n".join(line.strip() for line in FORMS.strip().splitlines())
    head, own, checked = PROSE.read_text("utf-8").split("\n---\n")
    return {
        "recipes.md": page(
            head,
            table(header, rows, right="   rr"),
            "## The detectors'\n\nAs far as a recipe goes; detection training is not part of this"
            " version.",
            table(header, detectors, right="   rr"),
            f"{own.strip()}\n\n```text\n{forms}\n```",
            checked.strip(),
        )
    }


def _row(recipe: Recipe) -> tuple[object, ...]:
    length = f"{recipe.epochs} epochs" if recipe.epochs else f"{recipe.iterations:,} iterations"
    networks = networks_of(recipe.name)
    whom = "-" if not networks else f"`{networks[0]}`"
    whom += f" and {len(networks) - 1} more" if len(networks) > 1 else ""
    known = said_of(recipe.name)
    mark = " (from memory)" if known["confidence"] == "memory" else ""
    where = f"{known['source']}{mark}"
    rate = f"{recipe.lr:g}"
    return (
        f"`{recipe.name}`",
        whom,
        length,
        recipe.batch,
        rate,
        recipe.schedule,
        recipe.warmup,
        where,
    )
