"""What a training says where there is no terminal: a line every few seconds, with its numbers."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from convarium.bakeoff.events import NetworkProgress, NetworkStarted, RaceStarted
from convarium.cli.progress import Watcher


def lines(
    capsys: pytest.CaptureFixture[str], *, every: float, models: tuple[str, ...] = ("lenet5",)
) -> list[str]:
    """What is written of three steps of a training that is half done behind 30 s."""
    watcher = Watcher(Console(file=io.StringIO()), every=every)
    watcher.listen(RaceStarted("digits", 64, 30, 10, models, ()))
    watcher.listen(NetworkStarted("lenet5", 1, 4, None, "fp32", 1.0))
    norms = {"c1": 0.5, "c3": 0.25, "output": 2.0}
    for done in (0.25, 0.5, 0.75):
        watcher.listen(
            NetworkProgress("lenet5", done, 2, 1.25, 60 * done, 0.05, 812.4, norms),
        )
    watcher.stop()
    return capsys.readouterr().err.splitlines()[1:]


def test_a_line_has_share_epoch_loss_rate_speed_gradient_and_time_left(capsys) -> None:
    told = lines(capsys, every=0.0)
    assert len(told) == 3
    assert told[1] == (
        "lenet5  50 %, epoch 2 of 4, loss 1.250, lr 0.05, 812 images/s, "
        "gradient c1 0.5 .. output 2, 0:30 left"
    )


def test_a_race_has_no_lines_between_its_networks(capsys) -> None:
    assert lines(capsys, every=0.0, models=("lenet5", "nin_cifar10")) == []


def test_no_line_comes_before_its_time(capsys) -> None:
    assert lines(capsys, every=3600.0) == []
