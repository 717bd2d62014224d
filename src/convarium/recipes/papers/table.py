"""A paper's recipe as a table: a row a field, its value and where that stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from convarium.recipes.model import Recipe

Rows = Mapping[str, tuple[Any, str]]
OURS = "unstated: our choice because "
SILENT = OURS + "the paper names none"
FROM_MEMORY = " (from memory)"
# What stands where a paper says nothing; a short recipe's values are other ones.
_NOTHING: dict[str, Any] = {
    "nesterov": False,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": "none",
    "shift_px": 0,
    "border": "zero",
}
_INIT = "the network's own, from its paper"
# ILSVRC 2012: 50,000 validation pictures beside 1.28 million for training.
HELD_OUT: tuple[float, str] = (
    0.04,
    OURS + "a test split must stay unseen; of ILSVRC that is as many as its validation pictures",
)
PATIENCE = OURS + "the paper watches the error by eye: here 5 epochs without a lower one"


def sgd(where: str, *, nesterov: bool = False) -> Rows:
    """The rows of stochastic gradient descent with momentum 0.9."""
    return {
        "optimizer": ("sgd", where),
        "momentum": (0.9, where),
        "nesterov": (nesterov, where if nesterov else f"{where}: momentum, no word of Nesterov's"),
    }


def recipe(name: str, *tables: Rows, recalled: bool = False) -> Recipe:
    """The recipe of the rows; a later table's row stands for an earlier one's.

    Args:
        name: the ledger's id.
        tables: field to (value, source).
        recalled: the ledger has it from memory, which its sources then say.
    """
    rows = {field: row for table in tables for field, row in table.items()}
    mark = FROM_MEMORY if recalled else ""
    sources = {f.name: SILENT for f in fields(Recipe) if f.name != "sources"}
    sources["name"] = "the ledger's id"
    sources["init"] = _INIT
    spare = "iterations" if "epochs" in rows else "epochs"
    sources[spare] = "the length is given in " + ("epochs" if "epochs" in rows else "iterations")
    for field, (_, where) in rows.items():
        sources[field] = where if where.startswith(OURS) else where + mark
    values = _NOTHING | {field: value for field, (value, _) in rows.items()}
    return Recipe(name=name, sources=sources, **values)


def changed(name: str, base: Recipe, rows: Rows) -> Recipe:
    """Another recipe by some rows of its own, the others of `base`."""
    kept = {f.name: (getattr(base, f.name), base.sources[f.name]) for f in fields(base)[1:-1]}
    if "epochs" in rows:
        kept["iterations"] = (None, "the length is given in epochs")
    return recipe(name, kept, rows)
