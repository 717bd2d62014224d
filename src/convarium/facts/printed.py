"""Every countable number that a paper prints of a network, read from `printed/*.yaml`.

A line of those files is a group of facts that share what is counted and where it is printed:

    - {what: params, where: Table 2, of: {vgg_a: 133M, vgg_d: 138M}}
    - {what: weights, where: Table 1, model: googlenet, rows: {inception_3a: 159K}}

`of` gives each network its printed number; `rows` gives each layer of one network its own, under
the name it has in the paper and in our network. `reason` says why a count differs: one sentence, or
one a key of `of` or `rows`. Error rates are not here: they are measured, not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

from convarium.facts.model import Fact

_PRINTED = resources.files("convarium.facts") / "printed"
_NUMBER = re.compile(r"(\d[\d,]*)(?:\.(\d+))?\s*(K|M(?!B)|Bn|billion|million|e\d+)?(?![\d.])")
_SCALES = {"K": 1e3, "M": 1e6, "million": 1e6, "Bn": 1e9, "billion": 1e9}
_COMMON = {"what", "where", "confidence", "unit", "kilo", "digit", "of", "model", "rows"}
_COUNTING = {"count", "select", "at", "to", "over", "divide"}


@dataclass(frozen=True, slots=True)
class PrintedFact:
    """A printed number, and how its counterpart is counted on our network.

    `count` names a function of `convarium.verify.counts`; `rows` and `select` say over which
    layers; `at` is another input size than the native one; `to` another network; `over` the layer
    that a receptive field is seen over; `divide` what the count is divided by.
    """

    model: str
    fact: Fact
    text: str  # as the paper prints it: "138M"
    count: str
    rows: str | None = None
    select: str | None = None
    at: tuple[int, ...] | None = None
    to: str | None = None
    over: str | None = None
    divide: float = 1.0
    reason: str | None = None  # why our count is another, where it is
    conflict: str | None = None  # id of the ledger's conflict that this fact is part of


@dataclass(frozen=True, slots=True)
class PrintedFile:
    """One file of `printed/`: the facts, and reasons for what differs from the ledger or a row."""

    facts: tuple[PrintedFact, ...]
    reasons: dict[str, dict[str, str]] = field(default_factory=dict, hash=False)


def printed_facts(model: str) -> tuple[PrintedFact, ...]:
    """The printed numbers of one network, in the order of its file; none for an unknown name.

    >>> [f.text for f in printed_facts("vgg_d") if f.fact.what == "params"]
    ['138M']
    """
    return tuple(f for file in _files() for f in file.facts if f.model == model)


def printed_models() -> tuple[str, ...]:
    """Every network of which some number is printed."""
    return tuple(dict.fromkeys(f.model for file in _files() for f in file.facts))


def difference_reason(model: str, fact: str) -> str | None:
    """Why a count of ours differs from the ledger's or a typed row; None when nobody says.

    A key of the files may end in "*" and then stands for all facts that begin so.
    """
    for file in _files():
        for key, reason in file.reasons.get(model, {}).items():
            if fact == key or (key.endswith("*") and fact.startswith(key[:-1])):
                return reason
    return None


def read_number(text: str, *, kilo: float = 1e3) -> tuple[float, float]:
    """A printed number and the worth of its last printed digit.

    Args:
        text: as printed; what follows the number and its scale is ignored.
        kilo: what "K" stands for.

    Raises:
        ValueError: there is no number in it.

    >>> read_number("138M"), read_number("1.50 billion"), read_number("60,000 trainable")
    ((138000000.0, 1000000.0), (1500000000.0, 10000000.0), (60000.0, 1.0))
    """
    match = _NUMBER.search(text)
    if match is None:
        raise ValueError(f"no number in {text!r}")
    whole, decimals, suffix = match.group(1).replace(",", ""), match.group(2) or "", match.group(3)
    scale = float(f"1{suffix}") if suffix and suffix[0] == "e" else _SCALES.get(suffix or "", 1.0)
    scale = kilo if suffix == "K" else scale
    worth = scale / 10 ** len(decimals)
    return int(whole + decimals) * worth, worth


@cache
def _files() -> tuple[PrintedFile, ...]:
    paths = sorted(_PRINTED.iterdir(), key=lambda path: path.name)
    return tuple(_file(path.read_text("utf-8")) for path in paths if path.name.endswith(".yaml"))


def _file(text: str) -> PrintedFile:
    raw = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    facts = tuple(f for group in raw["facts"] for f in _group(group))
    return PrintedFile(facts, raw.get("reasons", {}))


def _group(group: dict[str, Any]) -> list[PrintedFact]:
    unknown = set(group) - _COMMON - _COUNTING - {"reason", "conflict"}
    if unknown:
        raise ValueError(f"printed facts: unknown keys {sorted(unknown)} in {group}")
    if "rows" in group and "model" in group:
        return [_fact(group, group["model"], row, text) for row, text in group["rows"].items()]
    return [_fact(group, model, None, text) for model, text in group["of"].items()]


def _fact(group: dict[str, Any], model: str, row: str | None, text: Any) -> PrintedFact:
    """One fact of a group; `row` is the layer it is about, None for the whole network."""
    text = str(text)
    value, worth = read_number(text, kilo=group.get("kilo", 1e3))
    half_digit = group.get("digit", worth) / 2
    key = model if row is None else row
    extra = {name: group[name] for name in _COUNTING & set(group)}
    extra["at"] = tuple(extra["at"]) if "at" in extra else None
    return PrintedFact(
        model=model,
        fact=Fact(
            what=group["what"] if row is None else f"{group['what']} of {row}",
            value=value,
            half_digit=half_digit,
            unit=group.get("unit", "1"),
            where=group["where"],
            confidence=_keyed(group.get("confidence"), key) or "sourced",
        ),
        text=text,
        rows=row if row is not None else group.get("rows"),
        reason=_keyed(group.get("reason"), key),
        conflict=_keyed(group.get("conflict"), key),
        **{"count": group["what"], **extra},
    )


def _keyed(value: Any, key: str) -> str | None:
    """A value for all of a group, or the one of this key."""
    return value.get(key) if isinstance(value, dict) else value
