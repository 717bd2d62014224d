"""The structured rows of each classification network, and the totals that they imply.

The files of `rows/` are typed in from the papers' tables and the authors' own definitions, not
from this package's networks; they are data (safe_load), and nothing in them is executed.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml

from convarium.errors import unknown_name
from convarium.facts.expand import Block, Entry, expand
from convarium.facts.ledger import FAMILIES
from convarium.facts.model import LayerRow, RowTotals

_ROWS = resources.files("convarium.facts") / "rows"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DETECTORS = ("yolo", "fast_rcnn")
FAMILIES_WITH_ROWS = tuple(family for family in FAMILIES if family not in _DETECTORS)


@cache
def layer_rows(name: str) -> tuple[LayerRow, ...]:
    """The rows of the paper's table of one network, in its order (no aliases here).

    Raises:
        UsageError: no rows are typed in for such a name.

    >>> layer_rows("vgg_d")[0].output
    (64, 224, 224)
    """
    for family in FAMILIES_WITH_ROWS:
        if f"\n  {name}:" in _text(family):
            return expand(_entry(name, _read(family)), _blocks(family))
    raise unknown_name("network with rows", name, rows_names())


def rows_names() -> list[str]:
    """Every network that has rows, family by family."""
    return [name for family in FAMILIES_WITH_ROWS for name in _read(family)["networks"]]


def rows_totals(name: str) -> RowTotals:
    """Parameters, multiply-adds and weight layers that the rows of one network imply.

    Raises:
        UsageError: no rows are typed in for such a name.

    >>> rows_totals("vgg_d").params
    138357544
    """
    rows = layer_rows(name)
    bn_params = sum(row.bn_params for row in rows)
    return RowTotals(
        params=sum(row.params for row in rows) + bn_params,
        of_which_bn=bn_params,
        macs=sum(row.macs for row in rows),
        weight_layers=sum(row.kind in ("conv", "linear") for row in rows),
    )


@cache
def _text(family: str) -> str:
    return (_ROWS / f"{family}.yaml").read_text("utf-8")


@cache
def _read(family: str) -> dict[str, Any]:
    file: dict[str, Any] = yaml.load(_text(family), Loader=_LOADER)
    return file


@cache
def _blocks(family: str) -> dict[str, Block]:
    """The blocks of a family's file, over those of the file that it uses."""
    file = _read(family)
    blocks = dict(_blocks(file["use"])) if "use" in file else {}
    for heading, lines in file.get("blocks", {}).items():
        name, *parameters = heading.split()
        blocks[name] = Block(tuple(parameters), tuple(lines))
    return blocks


def _entry(name: str, file: dict[str, Any]) -> Entry:
    """One network's entry over the file's defaults; what is no convention is a parameter."""
    raw = {**file["defaults"], **file["networks"][name]}
    tables = {**(_read(file["use"]).get("tables", {}) if "use" in file else {})}
    tables |= file.get("tables", {})
    known = ("input", "bias", "bn", "where", "confidence", "table")
    channels, height, width = raw["input"]
    return Entry(
        name=name,
        input=(channels, height, width),
        bias=raw["bias"],
        bn=raw["bn"],
        where=raw["where"],
        confidence=raw["confidence"],
        lines=tuple(tables[raw["table"]]),
        values={key: str(value) for key, value in raw.items() if key not in known},
    )
