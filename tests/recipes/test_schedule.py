"""Schedules: the words, and the rates at the places the papers print."""

from __future__ import annotations

import pytest

from convarium.errors import UsageError
from convarium.recipes import Recipe
from convarium.recipes.schedule import Length, Plateau, read_schedule, read_warmup


@pytest.mark.parametrize(
    ("words", "length", "expected"),
    [
        ("constant", Length(10, 100), {0: 1, 0.5: 1, 1: 1}),
        ("poly 4", Length(10, 100), {0: 1, 0.5: 1 / 16, 1: 0}),
        # ResNet section 4.2: a tenth at 32k and 48k of 64k iterations.
        (
            "step 0.1 at 32000,48000 iterations",
            Length(182, 64000),
            {31999 / 64000: 1, 0.5: 0.1, 47999 / 64000: 0.1, 0.75: 0.01},
        ),
        # GoogLeNet section 6: 4 % less every 8 epochs.
        ("step 0.96 every 8 epochs", Length(80, 800), {0.09: 1, 0.1: 0.96, 0.95: 0.96**9}),
        # FractalNet section 4: a tenth whenever the rest has halved.
        ("halving 0.1 times 3", Length(400, 4), {0.49: 1, 0.5: 0.1, 0.75: 0.01, 0.9: 1e-3}),
    ],
)
def test_factors(words, length, expected) -> None:
    schedule = read_schedule(words)
    for progress, factor in expected.items():
        assert schedule.factor(progress, length, ()) == pytest.approx(factor), progress


def test_a_plateau_waits_and_counts() -> None:
    plateau = Plateau(0.1, patience=2, times=2)
    assert plateau.drops([0.5, 0.4, 0.3]) == 0
    assert plateau.drops([0.5, 0.5, 0.5]) == 1
    assert plateau.drops([0.5] + [0.6] * 20) == 2
    # The wait starts anew behind a drop, and with each better error.
    assert plateau.drops([0.5, 0.6, 0.6, 0.6, 0.4, 0.4]) == 1


def test_warm_ups() -> None:
    held, burn_in = (
        read_warmup("400 iterations at 0.1"),
        read_warmup("1000 iterations from 0 power 4"),
    )
    assert held is not None
    assert burn_in is not None
    assert [held.factor(done) for done in (0, 0.99)] == [0.1, 0.1]
    assert burn_in.factor(0.5) == pytest.approx(1 / 16)
    assert read_warmup("none") is None


def test_a_shorter_run_keeps_the_shape() -> None:
    recipe = Recipe("r", lr=1, epochs=200, schedule="step 0.2 at 60,120,160 epochs", warmup="none")
    rates = [recipe.lr_at(step / 10, Length(10, 100)) for step in range(10)]
    assert rates == pytest.approx([1, 1, 1, 0.2, 0.2, 0.2, 0.04, 0.04, 0.008, 0.008])


@pytest.mark.parametrize(
    "words", ["", "step", "step 0.1 at 3", "step 0.1 at ,, epochs", "step 0.1 every 0 epochs"]
)
def test_other_words_are_refused_with_the_forms(words) -> None:
    with pytest.raises(UsageError, match="Known forms: constant"):
        read_schedule(words)


def test_a_plateau_needs_something_to_look_at() -> None:
    with pytest.raises(UsageError, match="needs validation"):
        Recipe("r", lr=1, epochs=2, schedule="plateau 0.1 patience 3 times 3")
