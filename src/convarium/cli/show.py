"""`convarium show`: one network on a page, from the facts and the shipped table. No torch here."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from convarium import catalog, facts
from convarium.catalog import Network
from convarium.cli.layers import layer_table
from convarium.cli.names import NetworkName
from convarium.cli.output import AsJson, print_json
from convarium.cli.text import bold, columns, paragraph, shape
from convarium.cost import table
from convarium.facts import Count, ErrorRate, ModelFacts, Peer, model_facts

_FROM_MEMORY = " (from memory)"  # recalled, not looked up in the source


def show(name: NetworkName, as_json: AsJson = False) -> None:
    """Show one network: its layers, what its paper prints, departures, recipe, peers, notes.

    \b
    Example: convarium show resnet50
    """
    row = catalog.find(name)
    known, totals = model_facts(row.name), table.totals(row.name)
    recipe = facts.paper_recipes().get(known.recipe) if known.recipe else None
    if as_json:
        print_json(
            {
                "model": row.name,
                "aliases": _aliases(row.name),
                "departures": row.departures,
                **asdict(totals),
                "layers": [asdict(item) for item in table.layers(row.name)],
                "recipe": recipe,
                "facts": asdict(known),
            }
        )
        return
    parts = [
        _title(row, known),
        _counts(known, totals) + _layers_source(known),
        layer_table(table.layers(row.name)),
        _results(known.errors),
        _bullets("Departures from the paper, and where it is silent", row.departures),
        _recipe(known.recipe, recipe),
        _peers(known.peers),
        _bullets("The paper claims", known.claims),
        _bullets("Notes", known.notes),
    ]
    print("\n\n".join(part for part in parts if part))


def _title(row: Network, known: ModelFacts) -> str:
    paper = known.paper
    aliases = _aliases(row.name)
    also = f"  also called {', '.join(aliases)}" if aliases else ""
    arxiv = f", arXiv {paper.arxiv}" if paper.arxiv else ""
    where = f"{paper.authors}: {paper.title}. {paper.venue} {paper.year}{arxiv}."
    head = f"{bold(row.name)}  {row.family} family, {row.task}{also}"
    return f"{head}\n{paragraph(where, indent=0, hang=0)}"


def _aliases(name: str) -> list[str]:
    return [alias for alias, owner in catalog.ALIASES.items() if owner == name]


def _counts(known: ModelFacts, totals: table.Totals) -> str:
    rows = [
        ("input", shape(totals.input), ""),
        ("parameters", f"{totals.params:,}", _printed(known.params)),
        ("MACs", f"{totals.macs:,}", _printed(known.macs)),
        ("FLOPs", f"{2 * totals.macs:,}", "2 x MACs"),
    ]
    if known.params.weight_layers is not None:
        rows.append(("weight layers", str(known.params.weight_layers), ""))
    return columns((), rows, right="lrl", indent=2)


def _layers_source(known: ModelFacts) -> str:
    """A line where the list of layers is not looked up in the paper."""
    said = {"memory": f"layers{_FROM_MEMORY}", "ours": "a row beyond the papers"}
    return f"\n  {said[known.confidence]}" if known.confidence in said else ""


def _printed(count: Count) -> str:
    if count.printed is None:
        return "the paper prints none"
    return f"printed: {count.printed}{_mark(count.printed_confidence)}"


def _mark(confidence: str | None) -> str:
    return _FROM_MEMORY if confidence == "memory" else ""


def _results(errors: tuple[ErrorRate, ...]) -> str:
    if not errors:
        return ""
    kinds = [("top-1 error", "top1"), ("top-5 error", "top5"), ("mAP", "mAP"), ("AP", "AP")]
    kinds = [(title, key) for title, key in kinds if any(getattr(e, key) for e in errors)]
    rows = [
        (
            *(_percent(getattr(e, key)) for _, key in kinds),
            e.dataset,
            e.protocol,
            f"{e.source}{_mark(e.confidence)}",
        )
        for e in errors
    ]
    header = (*(f"{title}, %" for title, _ in kinds), "data set", "protocol", "source")
    table_ = columns(header, rows, right="r" * len(kinds), indent=2)
    return _section("Printed results") + table_


def _percent(value: float | None) -> str:
    return "" if value is None else str(value)


def _recipe(name: str | None, recipe: dict[str, Any] | None) -> str:
    if not recipe:
        return ""
    said = [(key.replace("_", " "), value) for key, value in recipe.items() if value is not None]
    skipped = ("id", "source", "confidence")
    lines = [
        paragraph(f"{key:<14} {_words(value)}", hang=15)
        for key, value in said
        if key not in skipped
    ]
    mark = _mark(recipe.get("confidence"))
    return "\n".join([_section(f"Recipe {name} ({recipe['source']}){mark}").rstrip(), *lines])


def _words(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _peers(peers: tuple[Peer, ...]) -> str:
    rows = [
        (
            f"{peer.library} {peer.name}",
            "same parameters" if peer.params_equal else f"{peer.params_delta:+,} parameters",
            "same MACs" if peer.macs_ratio == 1 else f"{peer.macs_ratio:.3f} x the MACs",
            f"at {peer.input} px",
        )
        for peer in peers
    ]
    return _section("The same or nearly so elsewhere") + columns((), rows, indent=2) if rows else ""


def _bullets(title: str, lines: tuple[str, ...]) -> str:
    if not lines:
        return ""
    return _section(title) + "\n".join(paragraph(f"- {line}") for line in lines)


def _section(title: str) -> str:
    return f"{bold(title)}\n"
