"""`convarium list`: the catalog with its totals, from the shipped table. No torch here."""

from __future__ import annotations

from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from convarium import catalog
from convarium.cli.names import complete, complete_family
from convarium.cli.output import AsJson, print_json, say
from convarium.cli.text import columns, shape, short
from convarium.cost import table
from convarium.errors import unknown_name

_COLUMNS = ("name", "family", "params", "macs", "year", "input", "task")


def list_(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="[PATTERN]",
            help="A name with * and ?, or how one of its parts begins.",
            autocompletion=complete,
        ),
    ] = "*",
    family: Annotated[
        str | None,
        typer.Option(help="Only one family, such as vgg.", autocompletion=complete_family),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help=f"Sort by {', '.join(_COLUMNS)}; upwards.",
            autocompletion=lambda: list(_COLUMNS),
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the networks with their parameters, multiply-adds (MACs), year, input and task.

    Without a pattern: all of them, family by family. One multiply-add is one MAC.

    \b
    Example: convarium list "resnet*_cifar" --sort params
    """
    if sort is not None and sort not in _COLUMNS:
        raise unknown_name("column", sort, _COLUMNS)
    names = catalog.list_models(family=family)
    models = [_line(name) for name in names if _matches(name, pattern)]
    if sort is not None:
        models.sort(key=lambda model: model[sort])
    if as_json:
        print_json({"models": models})
        return
    if not models:
        say(f"no network matches {pattern!r}. All of them: convarium list")
        return
    rows = [_cells(model) for model in models]
    print(
        columns(("name", "family", "params", "MACs", "year", "input", "task"), rows, right="llrr")
    )


def _matches(name: str, pattern: str) -> bool:
    """By shell pattern; a plain word matches where a part of the name begins with it.

    So "lenet" finds lenet5 and not googlenet.
    """
    if any(mark in pattern for mark in "*?["):
        return fnmatchcase(name, pattern)
    return f"_{name}".find(f"_{pattern}") >= 0


def _line(name: str) -> dict[str, Any]:
    aliases = [alias for alias, owner in catalog.ALIASES.items() if owner == name]
    return {"name": name, "aliases": aliases, **asdict(table.totals(name))}


def _cells(model: dict[str, Any]) -> tuple[str, ...]:
    counts = (short(model["params"]), short(model["macs"]), str(model["year"]))
    return (model["name"], model["family"], *counts, shape(model["input"]), model["task"])
