"""Nothing half-written is left behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from convarium.errors import ExhaustedError, InputError
from convarium.files import home, written_whole


def test_the_new_content_appears_at_the_end(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with written_whole(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_content_and_nothing_else(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def stop_halfway() -> None:
        with written_whole(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop_halfway()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_folders_are_made(tmp_path) -> None:
    with written_whole(tmp_path / "b" / "c" / "a.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "b" / "c" / "a.txt").read_text() == "x"


def test_others_may_read_what_the_umask_lets_them(tmp_path) -> None:
    before = os.umask(0o022)
    try:
        with written_whole(tmp_path / "a.txt") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_a_full_disk_is_told_apart(tmp_path) -> None:
    with pytest.raises(ExhaustedError, match="Free some space"), written_whole(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="cannot be written"),
        written_whole(tmp_path / "file" / "a"),
    ):
        pass


def test_home_is_named_by_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("CONVARIUM_HOME", "/some/where")
    assert home() == Path("/some/where")
    monkeypatch.delenv("CONVARIUM_HOME")
    assert home() == Path.home() / ".local" / "share" / "convarium"


def test_a_user_without_a_home_has_one_at_the_root(monkeypatch) -> None:
    for name in ("CONVARIUM_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user id without entry
    assert home() == Path("/.local/share/convarium")


@pytest.mark.parametrize("name", [".", "..", "folder", "/"])
def test_a_folder_is_no_file_to_write(tmp_path, monkeypatch, name) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is a folder"), written_whole(name):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
