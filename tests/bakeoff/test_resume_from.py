"""Where `--resume` looks, and what it says where nothing lies."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from convarium.bakeoff.resume import checkpoint_for
from convarium.errors import InputError


@pytest.mark.parametrize("place", ["nothing_here", "", "step-000000050.json"])
def test_a_place_without_a_checkpoint_is_told(place, tmp_path) -> None:
    one = SimpleNamespace(settings=SimpleNamespace(out=tmp_path / "own"), config="c")
    with pytest.raises(InputError, match=r"holds no checkpoint\. Give a run's folder") as error:
        checkpoint_for(one, str(tmp_path / place), print)
    assert "damaged" not in str(error.value)


def test_another_runs_damaged_checkpoint_stays(tmp_path, capsys) -> None:
    theirs = tmp_path / "theirs" / "checkpoints" / "step-000000050.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("{}")
    one = SimpleNamespace(settings=SimpleNamespace(out=tmp_path / "own"), config="c")
    with pytest.raises(InputError, match="holds no checkpoint"):
        checkpoint_for(one, str(tmp_path / "theirs"), print)
    assert theirs.read_text() == "{}"
    assert "is damaged" in capsys.readouterr().out
