"""Signals that end a run: noticed between two steps, so that a checkpoint can be written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from convarium.errors import StoppedError

_NAMES = ("SIGTERM", "SIGUSR1", "SIGINT")  # a system may lack one


class Stop:
    """Which signal has come, if any. `held` is True while steps run: then a signal waits."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self.held = False

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Notes the signal; acts at once where no step runs, or on a second Ctrl-C."""
        again = self.asked == number == signal.SIGINT
        self.asked = number
        if not self.held or again:
            self.leave("")

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Within, signals wait for `leave`."""
        self.held = True
        try:
            yield
        finally:
            self.held = False

    def leave(self, kept: str) -> None:
        """Raises what the signal stands for; `kept` says what is saved.

        Raises:
            StoppedError: SIGTERM or SIGUSR1.
            KeyboardInterrupt: Ctrl-C.
        """
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt(kept)
        name = signal.Signals(self.asked or signal.SIGTERM).name
        raise StoppedError(f"stopped by {name}. {kept}".rstrip())


@contextmanager
def listening() -> Iterator[Stop]:
    """A `Stop` that hears this process's signals; the handlers of before are put back."""
    stop = Stop()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
        before = {number: signal.signal(number, stop.on_signal) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
