"""The papers' recipes by name: the ledger's 29, then those of other data that it names."""

from __future__ import annotations

from functools import cache

from convarium import catalog
from convarium.errors import UsageError, unknown_name
from convarium.facts import FAMILIES, family_facts, model_facts, paper_recipes
from convarium.recipes.model import Recipe
from convarium.recipes.papers.dense import DENSE
from convarium.recipes.papers.detectors import DETECTORS
from convarium.recipes.papers.early import EARLY
from convarium.recipes.papers.further import FURTHER, OWN_RECIPE, OWN_ROWS
from convarium.recipes.papers.omitted import INSTEAD, NEVER_TOLD, why_not
from convarium.recipes.papers.residual import RESIDUAL
from convarium.recipes.papers.table import changed

PAPERS: dict[str, Recipe] = {r.name: r for r in (*EARLY, *RESIDUAL, *DENSE, *DETECTORS, *FURTHER)}
# Recipes beside the ledger's own ids: whose words they are.
ENTRY_OF = {
    "lenet_mnist_tenth": "lenet_mnist",
    "wrn_cifar_dropout": "wrn_cifar",
    "wrn_svhn": "wrn_cifar",
    "stochdepth_svhn": "stochdepth_cifar",
    "fractal_svhn": "fractal_cifar",
    "densenet_cifar_plain": "densenet_cifar",
    "densenet_svhn": "densenet_cifar",
    "darknet19_imagenet": "yolov2_voc",
}


def find_paper(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        UsageError: there is none; the message names the closest ones.
    """
    if name not in PAPERS:
        raise unknown_name("recipe", name, PAPERS)
    return PAPERS[name]


def paper_recipe(network: str, name: str | None = None) -> Recipe:
    """The recipe that a network's paper trained it with.

    Args:
        network: of the catalog, or an alias.
        name: of another recipe than the one that its paper has; a network's own rows stay with
            its own recipe.

    Raises:
        UsageError: no such network or recipe; the ledger names none for the network; or the recipe
            trains a detector.

    >>> paper_recipe("vgg16").init_from
    'vgg_a'
    """
    row = catalog.find(network)
    own = recipe_id(row.name)
    if name is None and own is None:
        other = "take its short one, or another's by its name of `convarium recipe list`"
        raise UsageError(
            f"the ledger has no paper's recipe for {row.name}: {INSTEAD.get(row.name, other)}."
        )
    found = find_paper(name or own or "")
    rows = OWN_ROWS.get(row.name, {}) if found.name == own else {}
    return trainable(changed(found.name, found, rows) if rows else found)


def trainable(recipe: Recipe) -> Recipe:
    """The recipe itself.

    Raises:
        UsageError: it trains a detector.
    """
    if recipe.detection:
        raise UsageError(
            f"{recipe.name} trains a detector; detection training is not part of this version."
        )
    return recipe


def recipe_id(network: str) -> str | None:
    """The name of the recipe of a network's paper, None where the ledger has none."""
    return OWN_RECIPE.get(network) or model_facts(network).recipe


def networks_of(name: str) -> list[str]:
    """The catalog's networks whose paper's recipe this is."""
    return _networks().get(name, [])


@cache
def _networks() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for family in FAMILIES:
        for network, known in family_facts(family).items():
            own = OWN_RECIPE.get(network) or known.recipe
            if own and network in catalog.CATALOG:
                found.setdefault(own, []).append(network)
    return found


def said_of(name: str) -> dict[str, object]:
    """The ledger's words on a recipe: of itself, or of the entry that it is a part of."""
    return paper_recipes()[ENTRY_OF.get(name, name)]


def omitted_of(name: str) -> dict[str, str]:
    """The ledger's fields of a recipe that no field here carries whole, and why."""
    entry = ENTRY_OF.get(name, name)
    reasons = {field: why_not(entry, field) for field in said_of(name) if field not in NEVER_TOLD}
    return {field: why for field, why in reasons.items() if why}
