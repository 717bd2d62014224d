"""What the papers print: numbers with their source and confidence. No torch here."""

from convarium.facts.ledger import (
    FAMILIES,
    background,
    beyond_ledger,
    conflicts,
    experiments,
    facts_names,
    family_facts,
    model_facts,
    paper_recipes,
    papers,
)
from convarium.facts.model import (
    Conflict,
    Count,
    ErrorRate,
    Experiment,
    LayerRow,
    ModelFacts,
    Paper,
    Peer,
    RowTotals,
)
from convarium.facts.rows import layer_rows, rows_names, rows_totals

__all__ = [
    "FAMILIES",
    "Conflict",
    "Count",
    "ErrorRate",
    "Experiment",
    "LayerRow",
    "ModelFacts",
    "Paper",
    "Peer",
    "RowTotals",
    "background",
    "beyond_ledger",
    "conflicts",
    "experiments",
    "facts_names",
    "family_facts",
    "layer_rows",
    "model_facts",
    "paper_recipes",
    "papers",
    "rows_names",
    "rows_totals",
]
