"""`convarium recipe`: the papers' recipes, the short ones and the user's own. No torch here."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convarium.cli.output import AsJson, print_json
from convarium.cli.text import bold, columns, paragraph
from convarium.files import expanded

if TYPE_CHECKING:
    from convarium.recipes import Recipe

_EPILOG = "Example: convarium recipe show resnet_cifar --json"
app = typer.Typer(
    name="recipe",
    help="List, show, compare and check the recipes of training.",
    epilog=_EPILOG,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


def _complete(incomplete: str) -> list[str]:
    from convarium.recipes import PAPERS

    return [name for name in PAPERS if name.startswith(incomplete)]


_HELP = "A recipe, a network (its paper's), 'NETWORK, short', or a TOML file."
Name = Annotated[str, typer.Argument(metavar="NAME", help=_HELP, autocompletion=_complete)]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the papers' recipes and the short ones, with their main numbers.

    A short recipe takes minutes on two cores. Networks without a row have one, too:
    'NETWORK, short' names it.

    \b
    Example: convarium recipe list
    """
    from convarium.recipes import PAPERS, SHORT

    lines = [_line(recipe) for recipe in PAPERS.values()]
    short = [_numbers(recipe) for rows in SHORT.values() for recipe in rows.values()]
    if as_json:
        print_json({"recipes": lines, "short": short})
        return
    header = ("recipe", "networks", "length", "batch", "rate", "schedule", "paper")
    rows = [
        (
            line["name"],
            str(len(line["networks"])),
            _length(line["epochs"], line["iterations"]),
            str(line["batch"]),
            f"{line['lr']:g}",
            line["schedule"],
            line["paper"],
        )
        for line in lines
    ]
    print(columns(header, rows, right="lrrrr"))
    titles = ("short recipe (minutes on two cores)", "length", "batch", "rate", "schedule")
    shown = [
        (
            line["name"],
            _length(line["epochs"], line["iterations"]),
            str(line["batch"]),
            f"{line['lr']:g}",
            line["schedule"],
        )
        for line in short
    ]
    print(f"\n{columns(titles, shown, right='lrrr')}")


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show one recipe: each field with its source.

    Also its networks, and what of the paper no field carries.

    \b
    Example: convarium recipe show vgg16
    Example: convarium recipe show "resnet20_cifar, short"
    """
    from convarium.recipes.papers import PAPERS, networks_of, omitted_of, said_of

    recipe = _named(name)
    known = recipe.name in PAPERS
    hardware = str(said_of(recipe.name).get("hardware", "")) if known else ""
    left_out = omitted_of(recipe.name) if known else {}
    networks = networks_of(recipe.name) if known else []
    if as_json:
        told = {"networks": networks, "hardware": hardware or None, "not_carried": left_out}
        print_json({"recipe": recipe.to_dict(), **told})
        return
    shown = [f.name for f in fields(recipe) if f.name not in ("name", "sources")]
    rows = [(f, _words(getattr(recipe, f)), recipe.source_of(f)) for f in shown]
    parts = [bold(recipe.name), columns(("field", "value", "source"), rows, indent=2)]
    if networks:
        parts.append(paragraph(f"networks: {', '.join(networks)}"))
    if hardware:
        parts.append(paragraph(f"the paper's hardware and time: {hardware}"))
    if left_out:
        lines = [paragraph(f"- {field}: {why}") for field, why in left_out.items()]
        parts.append("\n".join([bold("In the paper, and no field here"), *lines]))
    print("\n\n".join(parts))


@app.command()
def diff(first: Name, second: Name, as_json: AsJson = False) -> None:
    """Show only the fields in which two recipes differ.

    \b
    Example: convarium recipe diff resnet_cifar wrn_cifar
    """
    from convarium.recipes import differences

    ours, theirs = _named(first), _named(second)
    found = differences(ours, theirs)
    if as_json:
        keys = ("field", "first", "second", "source_of_second")
        rows_ = [dict(zip(keys, d, strict=True)) for d in found]
        print_json({"first": ours.name, "second": theirs.name, "differences": rows_})
        return
    rows = [(d.field, _words(d.ours), _words(d.theirs), d.source) for d in found]
    header = ("field", ours.name, theirs.name, f"source of {theirs.name}")
    print(columns(header, rows) if rows else f"{ours.name} and {theirs.name} do not differ")


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recipe in TOML.")],
    as_json: AsJson = False,
) -> None:
    """Check a recipe of your own, and print it.

    Exit code 3: the file is no recipe; one sentence says why.

    \b
    Example: convarium recipe validate mine.toml
    """
    from convarium.recipes import read_recipe

    recipe = read_recipe(expanded(file))
    unmoved = recipe.unmoved()
    if as_json:
        print_json({"valid": True, "recipe": recipe.to_dict(), "warning": unmoved or None})
        return
    told = [f.name for f in fields(recipe) if f.name not in ("name", "sources", "detection")]
    print(f"{recipe.name} is a recipe:")
    print(columns((), [(name, _words(getattr(recipe, name))) for name in told], indent=2))
    if unmoved:
        print(f"Note: {unmoved}")


def _named(name: str) -> Recipe:
    """A recipe by its name, a network's, or a file's."""
    from convarium import catalog
    from convarium.errors import unknown_name
    from convarium.recipes import PAPERS, paper_recipe, read_recipe, short_named

    if name in PAPERS:
        return PAPERS[name]
    if (short := short_named(name)) is not None:
        return short
    if name.endswith(".toml"):
        return read_recipe(expanded(name))
    networks = {*catalog.CATALOG, *catalog.ALIASES, *catalog.ALIASES.values()}
    if name in networks:
        return paper_recipe(name)
    raise unknown_name("recipe or network", name, [*PAPERS, *sorted(networks)])


def _line(recipe: Recipe) -> dict[str, Any]:
    from convarium.recipes.papers import networks_of, said_of

    told = _numbers(recipe)
    entry = said_of(recipe.name)
    told |= {"paper": entry["source"], "confidence": entry["confidence"]}
    return {**told, "networks": networks_of(recipe.name), "detection": bool(recipe.detection)}


def _numbers(recipe: Recipe) -> dict[str, Any]:
    kept = ("name", "epochs", "iterations", "batch", "lr", "schedule")
    return {field: getattr(recipe, field) for field in kept}


def _length(epochs: int | None, iterations: int | None) -> str:
    return f"{iterations:,} it" if epochs is None else f"{epochs} epochs"


def _words(value: Any) -> str:
    from convarium.recipes.compare import words

    return words(value)
