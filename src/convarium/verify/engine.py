"""Every fact that is known of a network, held against the network: a list of verdicts.

Three sources: the numbers that papers print (`facts/printed`), the ledger's exact counts, and the
rows that were typed in from the papers' tables. Where a source has nothing, the verdict is SILENT.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convarium import catalog
from convarium.errors import UsageError
from convarium.facts import (
    LayerRow,
    ModelFacts,
    PrintedFact,
    difference_reason,
    layer_rows,
    model_facts,
    printed_facts,
    rows_names,
)
from convarium.verify.counts import COUNTS, count
from convarium.verify.network import Network, build
from convarium.verify.rows import row_verdicts
from convarium.verify.verdict import Verdict, Word, tidy

_BY_HAND = "ledger, counted by hand"


def verify(name: str) -> list[Verdict]:
    """Every verdict on one network, by its name or an alias.

    Raises:
        UsageError: no network has that name.

    >>> [v.ours for v in verify("vgg16") if v.fact == "params"]
    [138357544]
    """
    row = catalog.find(name)
    facts = model_facts(row.name)
    return judge(
        build(row.name, facts.input),
        facts=facts,
        rows=known_rows(row.name),
        printed=printed_facts(row.name),
    )


def judge(
    net: Network,
    *,
    facts: ModelFacts,
    rows: Sequence[LayerRow],
    printed: Sequence[PrintedFact],
) -> list[Verdict]:
    """The verdicts on any traced network, against the facts handed in."""
    verdicts = [_printed_verdict(net, p) for p in printed]
    verdicts += _silences(net.name, printed)
    verdicts += _by_hand(net, facts)
    if rows:
        return verdicts + row_verdicts(net, rows)
    return [*verdicts, _silent(net.name, "rows", "no table of rows is printed or typed in", "")]


def known_rows(name: str) -> tuple[LayerRow, ...]:
    """The typed rows of one network, none where nobody typed them in."""
    return layer_rows(name) if name in rows_names() else ()


def summary(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many agree, differ and are silent.

    >>> summary([])
    {'agrees': 0, 'differs': 0, 'silent': 0}
    """
    words = [v.verdict for v in verdicts]
    return {word.lower(): words.count(word) for word in ("AGREES", "DIFFERS", "SILENT")}


def _printed_verdict(net: Network, printed: PrintedFact) -> Verdict:
    fact = printed.fact
    if printed.count not in COUNTS:
        raise UsageError(f"{net.name}: {fact.what}: nothing counts {printed.count!r}.")
    at = net if printed.at in (None, net.input) else build(net.name, printed.at)
    ours = count(at, printed)
    agrees = ours is not None and fact.agrees(ours)
    return Verdict(
        model=net.name,
        fact=fact.what,
        printed=printed.text,
        ours=None if ours is None else tidy(ours),
        verdict="AGREES" if agrees else "DIFFERS",
        reason=None if agrees else printed.reason,
        where=fact.where,
        confidence=fact.confidence,
    )


def _silences(model: str, printed: Iterable[PrintedFact]) -> list[Verdict]:
    """One SILENT for each of parameters, multiply-adds and depth that nobody prints."""
    counted = {p.count for p in printed if p.rows is None and p.select is None}
    wanted = {
        "params": {"params", "bytes"},
        "macs": {"macs", "flops", "connections"},
        "depth": {"depth", "conv_depth", "convolutions"},
    }
    reason = "no source that we know of prints it"
    return [_silent(model, fact, reason, "") for fact, ways in wanted.items() if not ways & counted]


def _silent(model: str, fact: str, reason: str, where: str) -> Verdict:
    return Verdict(model, fact, None, None, "SILENT", reason, where, "sourced")


def _by_hand(net: Network, facts: ModelFacts) -> list[Verdict]:
    """The ledger's counts of a network that was built by hand from the same tables."""
    weighted = sum(x.kind in ("conv", "linear") for x in net.layers)
    norms = sum(x.params for x in net.layers if x.kind == "norm")
    counts = (
        ("params counted by hand", facts.params.exact, sum(x.params for x in net.layers)),
        ("macs counted by hand", facts.macs.exact, sum(x.macs for x in net.layers)),
        ("norm params counted by hand", facts.params.of_which_bn, norms),
        ("weight layers counted by hand", facts.params.weight_layers, weighted),
    )
    return [_exact(net.name, fact, by_hand, ours) for fact, by_hand, ours in counts]


def _exact(model: str, fact: str, by_hand: int | None, ours: int) -> Verdict:
    if by_hand is None:
        return _silent(model, fact, "the ledger has no such count", _BY_HAND)
    agrees = by_hand == ours
    reason = None if agrees else difference_reason(model, fact)
    word: Word = "AGREES" if agrees else "DIFFERS"
    return Verdict(model, fact, f"{by_hand:,}", ours, word, reason, _BY_HAND, "counted")
