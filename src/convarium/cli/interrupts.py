"""A Ctrl-C is never lost, wherever in Python it falls."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AGAIN = 0.01  # seconds, in which the callback has ended


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Within, a Ctrl-C that falls into a finaliser or a weak reference's callback comes again.

    Python prints such an exception and drops it; the import system has such callbacks.
    """
    before = sys.unraisablehook

    def told(unraisable: Any) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            before(unraisable)
            return
        import _thread
        from threading import Timer

        timer = Timer(AGAIN, _thread.interrupt_main)
        timer.daemon = True
        timer.start()

    sys.unraisablehook = told
    try:
        yield
    finally:
        sys.unraisablehook = before
