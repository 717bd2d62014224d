"""What is seen of a race on stderr: a bar with the time left, or one line a network."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from convarium.bakeoff.events import (
    NetworkDone,
    NetworkFailed,
    NetworkProgress,
    NetworkStarted,
    RaceEvent,
    RaceStarted,
    TimingStarted,
)

if TYPE_CHECKING:
    from convarium.records import Result


WIDE = 120  # columns of a terminal that has room for everything
EVERY = 10.0  # seconds between two lines where there is no bar


@contextmanager
def watch() -> Iterator[Watcher]:
    """A watcher whose bar is gone when the block ends."""
    watcher = Watcher(Console(file=sys.stderr, highlight=False))
    try:
        yield watcher
    finally:
        watcher.stop()


class Watcher:
    """Follows a race. `finished` counts the networks that are trained, kept ones included.

    Where the console is no terminal, a race writes a line a network instead of a bar, a single
    training one every `every` seconds.
    """

    def __init__(self, console: Console, every: float = EVERY) -> None:
        self.finished = 0
        self._every, self._told = every, time.monotonic()
        self._console = console
        self._models: tuple[str, ...] = ()
        self._now: NetworkStarted | None = None
        self._bar: TaskID | None = None
        wide = console.width >= WIDE
        # What does not fit is cut off the numbers, which get the room that is left.
        numbers = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24 if wide else 8),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[what]}", table_column=numbers),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            expand=True,
        )

    @property
    def count(self) -> int:
        """Networks in the race; 0 before it has begun."""
        return len(self._models)

    def listen(self, event: RaceEvent) -> None:
        """Shows one event."""
        if isinstance(event, RaceStarted):
            self._race_started(event)
        elif isinstance(event, NetworkStarted):
            self._network_started(event)
        elif isinstance(event, NetworkProgress):
            self._network_progress(event)
        elif isinstance(event, NetworkDone):
            self.finished += 1
            self._line(self._number(event.result.model) + told(event.result))
        elif isinstance(event, NetworkFailed):
            self._line(self._number(event.model) + f"{event.model:<24} failed: {event.reason}")
        elif isinstance(event, TimingStarted):
            self._timing_started(event)

    def tell(self, message: str) -> None:
        """One message, above the bar."""
        self._line(message)

    def stop(self) -> None:
        """Takes the bar away."""
        self._progress.stop()

    def _race_started(self, event: RaceStarted) -> None:
        self._models = event.models
        self.finished = len(event.kept)
        sizes = f"{event.train_size:,} pictures to train on, {event.test_size:,} to test"
        many = len(event.models)
        who = f"{event.models[0]} trains" if many == 1 else f"{many} networks race"
        self._line(f"{who} on {event.data}: {sizes}, {event.classes} classes.")
        if event.kept:
            of = f"{len(event.kept)} of {len(event.models)}"
            self._line(f"kept from an earlier call, {of}: {', '.join(event.kept)} (--fresh: anew)")
        self._progress.start()

    def _network_started(self, event: NetworkStarted) -> None:
        self._now = event
        self._told = time.monotonic()
        self._replace_bar(f"{self._number(event.model)}{event.model}", event.plan)

    def _network_progress(self, event: NetworkProgress) -> None:
        if self._now is None:
            return
        of = f" of {self._now.epochs}" if self._now.epochs else ""
        what = f"epoch {event.epoch}{of}{_numbers(event)}"
        left = ""
        if event.done > 0.02:
            own = event.seconds / event.done
            left = f"{clock(own * (1 / self._now.share - event.done))} left"
            left = left if self.count == 1 else f"race {left}"
        if self._bar is not None and not self._progress.disable:
            self._progress.update(self._bar, completed=event.done, what=what, left=left)
        elif self.count == 1 and time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            done = f"{100 * event.done:.0f} %"
            self._line(f"{event.model}  {done}, {what}{', ' if left else ''}{left}")

    def _timing_started(self, event: TimingStarted) -> None:
        words = f"timing {_networks(event.models)} in turns, about {event.seconds:.0f} s"
        if self._progress.disable:
            self._line(words)
        else:
            self._replace_bar(words, "", total=None)

    def _replace_bar(self, description: str, what: str, total: float | None = 1.0) -> None:
        if self._bar is not None:
            self._progress.remove_task(self._bar)
        self._bar = self._progress.add_task(description, total=total, what=what, left="")

    def _number(self, model: str) -> str:
        count = len(self._models)
        return f"{self._models.index(model) + 1:>{len(str(count))}}/{count}  "

    def _line(self, text: str) -> None:
        # Not through rich's markup: a path may hold brackets.
        if self._progress.disable:
            print(text, file=sys.stderr, flush=True)
        else:
            self._console.print(text, markup=False, soft_wrap=True)


def told(result: Result) -> str:
    """A finished network in one line."""
    share = 100 * result.top1_correct / result.top1_total
    right = f"{result.top1_correct} of {result.top1_total}"
    plan = f"{result.plan['precision']} {result.plan['layout']}"
    epochs = f"{result.epochs:>3} epoch{' ' if result.epochs == 1 else 's'}"
    return (
        f"{result.model:<24} {share:5.1f} %  {right:>12} right  "
        f"{epochs}  {result.train_seconds:6.1f} s  {plan}"
    )


def _numbers(event: NetworkProgress) -> str:
    """Loss, rate, speed and the gradient's norms of a training, as far as they are read.

    >>> norms = {"conv1": 0.5, "conv2_x": 0.25, "fc": 2.0}
    >>> _numbers(NetworkProgress("a", 0.5, 1, 1.25, 9.0, 0.1, 812.4, norms))
    ', loss 1.250, lr 0.1, 812 images/s, gradient conv1 0.5 .. fc 2'
    """
    told = [] if event.loss is None else [f"loss {event.loss:.3f}", f"lr {event.lr:.3g}"]
    if event.images_per_second is not None:
        told.append(f"{event.images_per_second:,.0f} images/s")
    if event.grad_norms:
        (first, low), *_, (last, high) = [*event.grad_norms.items()] * 2
        told.append(f"gradient {first} {low:.2g} .. {last} {high:.2g}")
    return "".join(f", {part}" for part in told)


def _networks(models: tuple[str, ...]) -> str:
    return "1 network" if len(models) == 1 else f"{len(models)} networks"


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(125.4)
    '2:05'
    """
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02}"
