"""Networks and runs on the command line: completion, and the catalog's name of what was typed."""

from __future__ import annotations

from typing import Annotated

import typer

from convarium import catalog
from convarium.files import home


def complete(incomplete: str) -> list[str]:
    """Names and aliases that begin with what was typed so far."""
    return [name for name in (*catalog.CATALOG, *catalog.ALIASES) if name.startswith(incomplete)]


def complete_list(incomplete: str) -> list[str]:
    """The same for the last name of a list with commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in complete(last)]


def complete_family(incomplete: str) -> list[str]:
    """Families of the catalog that begin with what was typed so far."""
    families = dict.fromkeys(row.family for row in catalog.CATALOG.values())
    return [family for family in families if family.startswith(incomplete)]


def complete_record(incomplete: str) -> list[str]:
    """Ids of runs, the newest first, and networks; from the names of the logs alone."""
    try:
        runs = sorted((log.stem for log in (home() / "runs").glob("*.jsonl")), reverse=True)
    except OSError:
        runs = []
    return [run for run in runs if run.startswith(incomplete)] + complete(incomplete)


NetworkName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A network or an alias; see `convarium list`.", autocompletion=complete
    ),
]
NetworkNames = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...",
        help="Networks or aliases; see `convarium list`.",
        autocompletion=complete,
    ),
]
