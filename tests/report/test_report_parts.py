"""The report's small parts: colours, names of bubbles, cells, ticks and the winners' table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_races import LINE_UP, failed, make_race, make_result

from convarium import facts
from convarium.report.cells import COLUMNS, metric, table
from convarium.report.entries import entries
from convarium.report.history import winners
from convarium.report.leaders import leaders
from convarium.report.palette import HUES, TOKENS, dash, hue
from convarium.report.places import Spot, place


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two hex colours, WCAG 2.1, definition of relative luminance."""
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "card", "soft"])
@pytest.mark.parametrize("text", ["ink", "muted", "accent", "alarm"])
def test_text_reaches_aa(text, ground, theme):
    assert contrast(TOKENS[text][theme], TOKENS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", HUES)
def test_series_reach_the_contrast_of_graphics(name, theme):
    assert contrast(TOKENS[name][theme], TOKENS["card"][theme]) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["accent", "s0", "s1"])
def test_text_on_strong_grounds_is_readable(ground, theme):
    # The numbers in full squares of a confusion matrix are 11 pixels small.
    assert contrast(TOKENS["on-accent"][theme], TOKENS[ground][theme]) >= 4.5


def test_hue_and_dash_together_tell_eighteen_networks_apart():
    looks = {(hue(n), tuple(dash(n))) for n in range(18)}
    assert len(looks) == 18


def test_names_of_near_bubbles_do_not_cover_each_other():
    spots = [Spot(100.0 + 3 * n, 100.0 + 2 * n, 4, "resnet20") for n in range(4)]
    labels = place(spots, 800, 400)
    lines = [spot.y + label.dy for spot, label in zip(spots, labels, strict=True)]
    sides = [label.align for label in labels]
    for a in range(4):
        for b in range(a):
            assert sides[a] != sides[b] or abs(lines[a] - lines[b]) >= 13


def test_a_name_at_the_right_edge_goes_left():
    (label,) = place([Spot(795, 200, 5, "densenet_40_12_cifar")], 800, 400)
    assert label.align == "right"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (138_357_544, "138 M"),
        (60_000, "60 k"),
        (999_999, "1 M"),
        (0.456, "0.456"),
        (1.5e9, "1.5 G"),
    ],
)
def test_metric_keeps_three_digits(value, text):
    assert metric(value) == text


def test_every_network_has_a_row_and_every_number_a_unit_or_a_count():
    rows = table(entries(make_race()))
    assert {entry.model for entry, _ in rows} == set(LINE_UP)
    for _, cells in rows:
        for column, cell in zip(COLUMNS, cells, strict=True):
            assert cell.missing or cell.unit or column.id == "params"


def test_rows_start_with_the_most_accurate():
    shares = [entry.top1 for entry, _ in table(entries(make_race()))]
    assert shares == sorted(shares, reverse=True)


def test_what_could_not_be_had_says_why():
    (row,) = table(entries(make_race(("lenet5",))))
    texts = [cell.text for cell in row[1] if cell.missing]
    assert texts == ["not available: this machine has no energy counter"]


def test_a_reason_that_is_recorded_with_its_words_does_not_say_them_twice():
    """The race records the whole sentence, as its JSON has it."""
    words = {"joules_per_image": "not available: no RAPL counters"}
    result = replace(make_result("lenet5", 0), joules_per_image=None, unavailable=words)
    ((_, cells),) = table(entries(replace(make_race(("lenet5",)), results=(result,))))
    assert [cell.text for cell in cells if cell.missing] == [words["joules_per_image"]]


def test_a_none_without_a_reason_is_not_shown_as_zero():
    result = replace(make_result("lenet5", 0), peak_bytes=None)
    race = replace(make_race(("lenet5",)), results=(result,))
    ((_, cells),) = table(entries(race))
    assert "not available: not recorded" in [cell.text for cell in cells]


def test_a_failed_network_comes_last_and_leads_nothing():
    race = make_race(("lenet5", "plain20_cifar"))
    broken = failed(race.results[0], "loss became NaN in epoch 2")
    race = replace(race, results=(broken, race.results[1]))
    nets = entries(race)
    assert [entry.model for entry, _ in table(nets)] == ["plain20_cifar", "lenet5"]
    assert {leader.entry.model for leader in leaders(nets)} == {"plain20_cifar"}


def test_winners_errors_are_the_ledgers():
    printed = facts.background()["ilsvrc"]["winners_top5"]
    assert {winner.year: winner.error for winner in winners()} == printed


def test_depths_seen_in_a_source_are_the_papers():
    # AlexNet section 3.5; GoogLeNet and ResNet: their abstracts.
    seen = {winner.name: winner.depth for winner in winners() if winner.confidence == "sourced"}
    assert seen == {"AlexNet": 8, "GoogLeNet": 22, "ResNet": 152}
