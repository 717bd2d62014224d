"""Batches made ahead: in order, errors in their turn, no thread left behind."""

from __future__ import annotations

import threading
import time

import pytest

from convarium.data import ahead


def test_results_come_in_the_jobs_order() -> None:
    def slower_at_first(n: int) -> int:
        time.sleep(0.002 * (5 - n))
        return n

    assert list(ahead(slower_at_first, range(5))) == [0, 1, 2, 3, 4]


def test_the_next_one_is_made_while_the_present_one_is_used() -> None:
    made = threading.Event()

    def make(n: int) -> int:
        if n == 1:
            made.set()
        return n

    batches = ahead(make, range(3))
    assert next(batches) == 0
    assert made.wait(5)
    assert list(batches) == [1, 2]


def test_no_more_than_its_depth_is_made_before_it_is_asked_for() -> None:
    taken: list[int] = []

    def jobs():
        for n in range(100):
            taken.append(n)
            yield n

    batches = ahead(lambda n: n, jobs(), depth=2)
    assert next(batches) == 0
    assert taken == [0, 1, 2]
    batches.close()


def test_an_error_comes_in_its_jobs_turn() -> None:
    def make(n: int) -> int:
        if n == 2:
            raise ValueError("the third")
        return n

    batches = ahead(make, range(5))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(ValueError, match="the third"):
        next(batches)


def test_leaving_early_joins_the_thread() -> None:
    before = threading.active_count()
    for n in ahead(lambda n: n, range(1000)):
        if n == 3:
            break
    time.sleep(0)
    assert threading.active_count() == before
