"""Ctrl-C in the places where Python drops exceptions."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from convarium.cli.interrupts import interrupts_kept


class Falls:
    """Its finaliser raises, as a signal that comes just then would."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


def wait_for_it() -> None:
    with interrupts_kept():
        Falls(KeyboardInterrupt())
        for _ in range(500):
            time.sleep(0.01)


def test_an_interrupt_in_a_finaliser_comes_again() -> None:
    # A shell lets what runs in its background ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            wait_for_it()
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_errors_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append(args.exc_type))
    before = sys.unraisablehook
    with interrupts_kept():
        Falls(ValueError())
    assert told == [ValueError]
    assert sys.unraisablehook is before
