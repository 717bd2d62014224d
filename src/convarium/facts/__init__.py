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
    ModelFacts,
    Paper,
    Peer,
)

__all__ = [
    "FAMILIES",
    "Conflict",
    "Count",
    "ErrorRate",
    "Experiment",
    "ModelFacts",
    "Paper",
    "Peer",
    "background",
    "beyond_ledger",
    "conflicts",
    "experiments",
    "facts_names",
    "family_facts",
    "model_facts",
    "paper_recipes",
    "papers",
]
