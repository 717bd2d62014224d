"""Fronts and their sentence, on numbers made by hand."""

from __future__ import annotations

import pytest

from convarium.bakeoff.front import front, sentence


def test_a_network_beaten_in_both_is_not_on_the_front() -> None:
    points = {"slow_bad": (0.90, 5.0), "fast_good": (0.95, 1.0), "slow_best": (0.99, 9.0)}
    assert front(points) == ("fast_good", "slow_best")


def test_the_front_is_told_from_cheap_to_dear() -> None:
    points = {"c": (0.99, 30.0), "a": (0.90, 1.0), "b": (0.95, 2.0)}
    assert front(points) == ("a", "b", "c")


def test_equal_networks_are_both_on_the_front() -> None:
    assert set(front({"a": (0.9, 1.0), "b": (0.9, 1.0)})) == {"a", "b"}


def test_of_equal_accuracy_the_cheaper_one_is_on_the_front() -> None:
    assert front({"a": (0.9, 2.0), "b": (0.9, 1.0)}) == ("b",)


def test_of_equal_cost_the_better_one_is_on_the_front() -> None:
    assert front({"a": (0.8, 1.0), "b": (0.9, 1.0)}) == ("b",)


@pytest.mark.parametrize(
    ("time", "size", "words"),
    [
        (("a",), ("b",), "milliseconds: a; against megabytes: b."),
        (("a", "b", "c"), ("b",), "milliseconds: a, b and c; against megabytes: b."),
        (("a", "b"), ("a", "b"), "milliseconds, and against megabytes: a and b."),
    ],
)
def test_the_sentence_names_both_fronts(
    time: tuple[str, ...], size: tuple[str, ...], words: str
) -> None:
    assert sentence(time, size).endswith(words)
