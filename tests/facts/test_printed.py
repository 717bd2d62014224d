"""Printed numbers: how they are read, and that each is complete and meant for a network."""

from __future__ import annotations

import pytest

from convarium import catalog, facts
from convarium.facts.printed import printed_facts, printed_models, read_number

EVERY = [fact for model in printed_models() for fact in printed_facts(model)]


@pytest.mark.parametrize(
    ("text", "value", "worth"),
    [
        ("138M", 138e6, 1e6),
        ("0.27M (Table 6)", 0.27e6, 0.01e6),
        ("1,248,424", 1248424, 1),
        ("60,000 trainable", 60000, 1),
        ("5.58 billion", 5.58e9, 0.01e9),
        ("18.7 Bn", 18.7e9, 0.1e9),
        ("11.3e9", 11.3e9, 0.1e9),
        ("4.8 MB", 4.8, 0.1),
        ("about 44M", 44e6, 1e6),
        ("7x7", 7, 1),
        ("94.86%", 94.86, 0.01),
    ],
)
def test_a_number_is_read_with_its_last_digit(text: str, value: float, worth: float) -> None:
    assert read_number(text) == pytest.approx((value, worth), rel=1e-12)


def test_a_text_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="no number"):
        read_number("as ResNet-none".replace("-", " "))


def test_kilo_may_be_1024() -> None:
    assert read_number("159K", kilo=1024) == (159 * 1024, 1024)


@pytest.mark.parametrize(
    ("count", "agrees"),
    [(137_500_000, True), (138_499_999, True), (138_500_001, False), (137_499_999, False)],
)
def test_a_count_agrees_within_half_of_the_last_digit(count: int, agrees: bool) -> None:
    (printed,) = [f for f in printed_facts("vgg_d") if f.fact.what == "params"]
    assert printed.fact.agrees(count) is agrees


def test_sixty_million_has_one_significant_digit() -> None:
    (printed,) = [f for f in printed_facts("alexnet_2gpu") if f.fact.what == "params"]
    assert printed.fact.half_digit == 5e6


def test_every_printed_fact_is_about_a_network_of_the_catalog() -> None:
    assert set(printed_models()) <= set(catalog.CATALOG)


def test_every_printed_fact_says_where_it_is_printed_and_how_sure_it_is() -> None:
    for printed in EVERY:
        assert printed.fact.where, printed
        assert printed.fact.confidence in ("sourced", "memory"), printed


def test_no_network_has_a_fact_twice() -> None:
    names = [(printed.model, printed.fact.what) for printed in EVERY]
    assert len(names) == len(set(names))


def test_conflicts_of_printed_facts_are_the_ledgers() -> None:
    known = {conflict.id for conflict in facts.conflicts()}
    assert {printed.conflict for printed in EVERY if printed.conflict} <= known


def test_the_printed_parameters_of_the_ledger_are_all_here() -> None:
    """Ledger entries whose printed count is a plain "0.27M (Table 6)": the number is a fact."""
    for model in printed_models():
        words = facts.model_facts(model).params.printed if model in facts.facts_names() else None
        if words is None or not words[0].isdigit() or "MB" in words:
            continue
        value, _ = read_number(words)
        assert value in {f.fact.value for f in printed_facts(model)}, (model, words)


def test_lenets_layers_sum_to_the_printed_totals() -> None:
    """Section II.B: the layers' parameters sum to 60,000 and their connections to 340,908."""
    of = {f.fact.what: f.fact.value for f in printed_facts("lenet5")}
    params = [value for what, value in of.items() if what.startswith("params of ")]
    connections = [value for what, value in of.items() if what.startswith("connections of ")]
    assert sum(params) == of["params"] == 60_000
    assert sum(connections) == of["connections"] == 340_908


def test_squeezenets_rows_sum_to_the_printed_total() -> None:
    of = {f.fact.what: f.fact.value for f in printed_facts("squeezenet1_0")}
    assert sum(value for what, value in of.items() if what.startswith("params of ")) == 1_248_424
