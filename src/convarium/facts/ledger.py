"""Reads the ledger's YAML files into the dataclasses of `model.py`, each file once."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml

from convarium.errors import unknown_name
from convarium.facts.model import (
    Conflict,
    Count,
    ErrorRate,
    Experiment,
    ModelFacts,
    Paper,
    Peer,
)

_LEDGER = resources.files("convarium.facts") / "ledger"
FAMILIES = (
    "lenet",
    "alexnet",
    "zfnet",
    "nin",
    "vgg",
    "googlenet",
    "resnet",
    "preact_resnet",
    "wide_resnet",
    "resnext",
    "stochastic_depth",
    "fractalnet",
    "densenet",
    "squeezenet",
    "mobilenet",
    "darknet",
    "yolo",
    "fast_rcnn",
)


def model_facts(name: str) -> ModelFacts:
    """The ledger's entry of the network called `name` (no aliases here).

    Raises:
        UsageError: the ledger has no such network.

    >>> model_facts("vgg_d").params.exact
    138357544
    """
    for family in _likely_first(name):
        entries = family_facts(family)
        if name in entries:
            return entries[name]
    raise unknown_name("network", name, facts_names())


def beyond_ledger(name: str, family: str, native: tuple[int, int, int]) -> ModelFacts:
    """The entry of a network that no paper prints: its family's first paper, its input, no counts.

    >>> beyond_ledger("vgg_a_32px", "vgg", (3, 32, 32)).confidence
    'ours'
    """
    paper = next(iter(family_facts(family).values())).paper
    nothing = Count()
    return ModelFacts(name, family, paper, native, "ours", nothing, nothing, errors=(), layers=())


def facts_names() -> list[str]:
    """Every network the ledger has, family by family."""
    return [name for family in FAMILIES for name in family_facts(family)]


@cache
def family_facts(family: str) -> dict[str, ModelFacts]:
    """The ledger's entries of one family by name, in the ledger's order.

    Raises:
        UsageError: no such family.
    """
    if family not in FAMILIES:
        raise unknown_name("family", family, FAMILIES)
    return {v["name"]: _entry(v) for v in _read(family)["variants"]}


@cache
def papers() -> dict[str, Paper]:
    """The papers of the ledger by id."""
    return {key: Paper(**value) for key, value in _read("papers")["papers"].items()}


@cache
def paper_recipes() -> dict[str, dict[str, Any]]:
    """How each paper says it trained, by recipe id, in the paper's own words."""
    return dict(_read("recipes")["recipes"])


@cache
def background() -> dict[str, Any]:
    """ILSVRC's sizes and winners, cost formulas and other common ground, each with its source."""
    return dict(_read("background")["background"])


@cache
def conflicts() -> tuple[Conflict, ...]:
    """The printed numbers that a count or another page contradicts."""
    return tuple(Conflict(**c) for c in _read("printed_vs_counted")["printed_vs_counted"])


@cache
def experiments() -> tuple[Experiment, ...]:
    """The papers' claims that can be run again."""
    rows = _read("experiments")["experiments"]
    return tuple(Experiment(**{**row, "nets": tuple(row["nets"])}) for row in rows)


def _read(stem: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((_LEDGER / f"{stem}.yaml").read_text("utf-8"), Loader=loader)


def _likely_first(name: str) -> list[str]:
    """Families whose word begins the name come first, so that one look-up reads one file."""
    return sorted(FAMILIES, key=lambda family: not name.startswith(family.split("_")[0]))


def _entry(v: dict[str, Any]) -> ModelFacts:
    channels, height, width = v["input"]
    return ModelFacts(
        name=v["name"],
        family=v["family"],
        paper=papers()[v["paper"]],
        input=(channels, height, width),
        confidence=v["confidence"],
        params=_count(v["params"]),
        macs=_count(v["macs"]),
        errors=tuple(ErrorRate(**e) for e in v["errors"]),
        layers=tuple(v["layers"]),
        recipe=v.get("recipe"),
        peers=tuple(_peer(lib, p) for lib, found in v["peers"].items() for p in found),
        claims=tuple(v.get("claims", ())),
        notes=tuple(v["notes"]),
        table1=v.get("table1"),
    )


def _count(raw: dict[str, Any]) -> Count:
    printed = raw.get("printed")
    return Count(**{**raw, "printed": None if printed is None else str(printed)})


def _peer(library: str, raw: dict[str, Any]) -> Peer:
    return Peer(library=library, **{**raw, "weights": tuple(raw.get("weights", ()))})
