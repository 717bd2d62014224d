"""What doctor finds in the records, and what a repair gives back."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from convarium.records import overview
from convarium.records.health import check_records, repair_records
from records.record_logs import events_of, keep, write_log

FIRST = events_of("run1", {"model": "lenet5"}, {"model": "nin_cifar10"})
SECOND = events_of("run2", {"model": "vgg_d"})


def damage(folder: Path) -> None:
    """Everything behind the database's first page becomes noise."""
    path = folder / "records.sqlite"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def models() -> set[str]:
    return {one.model for one in overview()}


def test_whole_records_have_no_fault() -> None:
    health = check_records(keep(FIRST, SECOND))
    assert (health.fault, health.runs, health.results, health.logs) == (None, 2, 3, 2)
    assert (health.not_indexed, health.torn) == ((), {})


def test_looking_changes_nothing(tmp_path: Path) -> None:
    assert not check_records(tmp_path).exists
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_found_and_comes_back_from_the_logs() -> None:
    folder = keep(FIRST, SECOND)
    damage(folder)
    health = check_records(folder)
    assert health.fault
    assert not health.locked
    assert repair_records(health, folder) == 2
    assert check_records(folder).fault is None
    assert models() == {"lenet5", "nin_cifar10", "vgg_d"}
    assert (folder / "records.sqlite.damaged").is_file()


def test_a_file_that_is_no_database_is_a_fault() -> None:
    folder = keep(FIRST)
    (folder / "records.sqlite").write_bytes(b"no database" * 1000)
    assert "not a database" in (check_records(folder).fault or "")


def test_a_folder_in_the_databases_place_is_a_fault_and_is_mended() -> None:
    folder = keep(FIRST)
    (folder / "records.sqlite").unlink()
    (folder / "records.sqlite").mkdir()
    health = check_records(folder)
    assert health.fault
    assert repair_records(health, folder) == 1


def test_a_lock_is_told_from_damage() -> None:
    folder = keep(FIRST)
    holder = sqlite3.connect(folder / "records.sqlite", isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("PRAGMA journal_mode=DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    health = check_records(folder)
    holder.close()
    assert health.locked


def test_a_run_that_is_in_its_log_alone_is_taken_in() -> None:
    folder = keep(FIRST)
    write_log(folder / "runs" / "run2.jsonl", SECOND)
    health = check_records(folder)
    assert health.not_indexed == ("run2",)
    assert repair_records(health, folder) == 2
    assert models() == {"lenet5", "nin_cifar10", "vgg_d"}


def test_a_run_whose_log_is_gone_survives_a_repair() -> None:
    folder = keep(FIRST)
    (folder / "runs" / "run1.jsonl").unlink()
    write_log(folder / "runs" / "run2.jsonl", SECOND)
    assert repair_records(check_records(folder), folder) == 2
    assert "lenet5" in models()


def test_torn_lines_are_counted() -> None:
    folder = keep(FIRST)
    log = folder / "runs" / "run1.jsonl"
    log.write_text(log.read_text() + '{"event": "res\n\n{"event"')
    assert check_records(folder).torn == {"run1.jsonl": 2}


def test_a_line_ends_with_a_line_feed_alone() -> None:
    events = events_of("run1", {"model": "lenet5"}, data="a\u2028b\x85c")
    folder = keep(events)
    text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
    (folder / "runs" / "run1.jsonl").write_text(text, encoding="utf-8")
    assert check_records(folder).torn == {}


@pytest.mark.skipif(sys.platform != "linux", reason="rights are given up by capset")
def test_a_log_without_rights_costs_only_itself() -> None:
    folder = keep(FIRST)
    write_log(folder / "runs" / "run2.jsonl", SECOND)
    (folder / "runs" / "run2.jsonl").chmod(0)
    code = (
        "from loaded_once import give_up_rights; give_up_rights()\n"
        "from convarium.records import overview\n"
        "from convarium.records.health import check_records\n"
        "print(*sorted(one.model for one in overview()), check_records().unread)"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    said, found = done.stdout.splitlines()
    assert said.endswith("run2.jsonl cannot be read (Permission denied): its run may be missing.")
    assert found == "lenet5 nin_cifar10 {'run2.jsonl': 'Permission denied'}"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path.name)])
def test_what_is_no_file_is_no_log(make: Callable[[Path], None]) -> None:
    folder = keep(FIRST)
    make(folder / "runs" / "run2.jsonl")
    assert models() == {"lenet5", "nin_cifar10"}
    assert check_records(folder).logs == 1
