"""`convarium data`: verbs on pictures before they are trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convarium.cli.names import complete
from convarium.cli.output import AsJson, print_json
from convarium.cli.text import bold, columns
from convarium.errors import counted
from convarium.files import expanded, printable, shown, written_whole

if TYPE_CHECKING:
    from convarium.data.check import Report

SHOWN = 20  # lines of one kind; --json has all
_EPILOG = "Example: convarium data check photos/ --json"
app = typer.Typer(
    name="data",
    help="Look pictures over before they are trained on, and what augmentation makes of them.",
    epilog=_EPILOG,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command()
def check(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE",
            help="One folder of pictures per class, or train/ and val/ of that form; or an .npz "
            "file, or a folder with one, with MNIST's IDX files or with CIFAR's batches.",
        ),
    ],
    as_json: AsJson = False,
) -> int:
    """Find bad files, duplicates, leaks; tell balance and sizes.

    Exit code 3: a race would refuse the folder; 1: pictures are both trained and tested on, or
    the same picture is of two classes; 0 otherwise.

    \b
    Example: convarium data check photos/
    """
    from convarium.data.check import check_folder
    from convarium.data.packed import check_packed, find_packed

    place = expanded(folder)
    packed = find_packed(place)
    report = check_folder(place) if packed is None else check_packed(packed)
    if as_json:
        verdict = {"refused": report.refused, "spoilt": report.spoilt}
        print_json({"check": {**asdict(report), **verdict}})
    else:
        print("\n\n".join(_paragraphs(report)))
    return 3 if report.refused else 1 if report.spoilt else 0


@app.command()
def augment(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture file.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NETWORK",
            help="Views by this network's recipe; each augmentation when left out.",
            autocompletion=complete,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The sheet, a PNG.")] = Path(
        "augmentations.png"
    ),
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Another seed, other views.")] = 0,
    count: Annotated[int, typer.Option(min=1, max=12, metavar="N", help="Views in a row.")] = 6,
) -> None:
    """Draw a sheet of what augmentation makes of a picture.

    \b
    Example: convarium data augment photo.jpg
    Example: convarium data augment photo.jpg --recipe resnet18 --seed 3
    """
    from convarium import catalog
    from convarium.data.pictures import strict_pillow
    from convarium.data.sheet import augmentation_rows, draw_sheet, recipe_rows
    from convarium.facts import model_facts
    from convarium.recipes import find_recipe

    title = shown(picture.name)
    with strict_pillow():
        if recipe is None:
            rows = augmentation_rows(picture, seed=seed, count=count)
        else:
            name = catalog.find(recipe).name
            side = model_facts(name).input[1]
            found = find_recipe(name, "photographs", "paper")
            rows = recipe_rows(picture, found, seed=seed, count=count, side=side)
            title = f"{title} by the recipe: {found.name}"
        sheet = draw_sheet(rows, title)
    with written_whole(out) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
    print(f"{shown(out)}: {len(rows)} rows, {sheet.width}x{sheet.height} pixels")


def _paragraphs(report: Report) -> Iterable[str]:
    yield f"{report.folder}: {counted(report.pictures, 'picture')}{_in_words(report)}"
    if report.form is not None:
        yield f"{bold('Cannot be raced')}\n  {report.form}"
    for title, files in (
        ("Unreadable: repair, remove, or race with --skip-bad", report.unreadable),
        ("Suspicious", report.suspicious),
        ("Passed over", report.passed_over),
    ):
        if files:
            yield _listed(title, [(file.name, file.reason) for file in files])
    yield from _twins(report)
    for part, counts in report.balance.items():
        rows = [(name, f"{n:,}", _bar(n, max(counts.values()))) for name, n in counts.items()]
        yield _listed(f"Classes, {part}", rows, right="lrl")
    sizes = [(s, f"{n:,}", _bar(n, max(report.sizes.values()))) for s, n in report.sizes.items()]
    if sizes:
        width, height = report.median_size or (0, 0)
        formats = ", ".join(f"{n:,} {name}" for name, n in report.formats.items())
        yield _listed("Sizes, by the longer side", sizes, right="lrl")
        yield f"median {width:g}x{height:g} pixels; {formats}"


def _in_words(report: Report) -> str:
    """Parts, classes, balance and copies, behind the number of pictures."""
    if not report.balance:
        return ""
    sizes = [f"{sum(counts.values()):,} in {part}" for part, counts in report.balance.items()]
    counts = [n for part in report.balance.values() for n in part.values()]
    classes = {name for part in report.balance.values() for name in part}
    span = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,}-{max(counts):,}"
    copies = f"{counted(len(report.twins), 'pair')} alike" if report.twins else "no two alike"
    where = ", ".join(sizes)
    of = f"{len(classes):,} {'class' if len(classes) == 1 else 'classes'}"
    return f" ({where}) of {of}, {span} a class and part; {copies}"


def _twins(report: Report) -> Iterable[str]:
    words = {"bytes": "the same file", "pixels": "the same pixels", "near": "nearly the same"}
    leaks = [pair for pair in report.twins if pair.leak]
    conflicts = [pair for pair in report.twins if pair.conflict and pair.kind != "near"]
    for title, pairs in (
        ("Trained and tested on both", leaks),
        ("One picture, two classes", conflicts),
        ("Duplicates", [pair for pair in report.twins if not pair.leak]),
    ):
        if pairs:
            yield _listed(title, [(p.first, p.second, words[p.kind]) for p in pairs])


def _listed(title: str, rows: Sequence[tuple[str, ...]], right: str = "") -> str:
    cells = [tuple(map(printable, row)) for row in rows[:SHOWN]]
    more = f"\n  and {len(rows) - SHOWN:,} more: see --json" if len(rows) > SHOWN else ""
    return f"{bold(title)} ({len(rows):,})\n{columns((), cells, right=right, indent=2)}{more}"


def _bar(count: int, most: int) -> str:
    return "#" * max(1, round(30 * count / most))
