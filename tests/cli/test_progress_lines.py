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


@pytest.mark.parametrize("width", [80, 160])
def test_a_bar_keeps_the_time_left_and_the_loss_in_any_terminal(width) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=width)
    watcher = Watcher(screen)
    watcher.listen(RaceStarted("digits", 64, 30, 10, ("resnet20_cifar",), ()))
    watcher.listen(NetworkStarted("resnet20_cifar", 1, 4, None, "fp32", 1.0))
    norms = {"conv1": 0.5, "fc": 2.0}
    done = NetworkProgress("resnet20_cifar", 0.5, 2, 1.25, 30.0, 0.05, 812.4, norms)
    watcher.listen(done)
    watcher.stop()
    sheet = Console(file=io.StringIO(), width=width)
    sheet.print(watcher._progress.get_renderable())
    (text,) = sheet.file.getvalue().splitlines()
    assert len(text) <= width
    assert "resnet20_cifar" in text
    assert "0:30 left" in text
    assert "epoch 2 of 4, loss 1.250" in text
    assert ("812 images/s, gradient conv1 0.5 .. fc 2" in text) == (width == 160)
