"""The TensorBoard log, read back with TensorBoard's own reader; and the extra that is missing."""

from __future__ import annotations

import sys

import pytest

from convarium.errors import MissingExtraError
from convarium.train import EpochDone, StepDone
from convarium.train.tensorboard import Board


def test_a_missing_extra_names_the_line_that_installs_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        MissingExtraError, match=r"pip install 'convarium\[tensorboard\]'"
    ) as raised:
        Board(tmp_path)
    assert raised.value.exit_code == 4
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_number_is_read_back(tmp_path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = Board(tmp_path)
    board.listen(StepDone(9, 1, 0.5, None, 1.0))
    board.listen(StepDone(10, 1, 0.5, 2.25, 1.5, {"conv1": 0.125, "fc": 4.0}))
    board.listen(EpochDone(1, 1.5, 0.75, 2.0, 640.0, error=0.25))
    board.close()
    log = reading.EventAccumulator(str(tmp_path)).Reload()
    read = {
        tag: [(event.step, event.value) for event in log.Scalars(tag)]
        for tag in log.Tags()["scalars"]
    }
    assert read == {
        "step/loss": [(10, 2.25)],
        "step/lr": [(10, 0.5)],
        "gradient/conv1": [(10, 0.125)],
        "gradient/fc": [(10, 4.0)],
        "epoch/loss": [(1, 1.5)],
        "epoch/train_top1": [(1, 0.75)],
        "epoch/error": [(1, 0.25)],
        "epoch/images_per_second": [(1, 640.0)],
    }
