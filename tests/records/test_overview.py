"""The records in one line each: one query, by name, from logs where there is no database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from convarium.errors import ConvariumError, InputError, UsageError
from convarium.records import Database, overview, rebuild, select
from convarium.records.overview import full_record, of_database, of_events
from records.record_logs import events_of, keep, write_log

FIRST = events_of("20260301T120000-aaaaaa", {"model": "lenet5"}, {"model": "nin_cifar10"})
SECOND = events_of(
    "20260302T120000-bbbbbb", {"model": "vgg_d", "top1_correct": 95}, at="2026-03-02T12:00:00+00:00"
)


def named(*words: str) -> list[tuple[str, str]]:
    """(end of the run's id, network) of what words select."""
    return [(one.run[-6:], one.model) for one in select(words, overview())]


def test_a_record_has_the_numbers_of_its_log() -> None:
    keep(FIRST)
    one = next(one for one in overview() if one.model == "lenet5")
    assert (one.top1, one.params, one.macs, one.ms_batch1) == (0.9, 60_000, 400_000, 0.5)
    assert (one.megabytes, one.train_seconds, one.top1_low, one.top1_high) == (
        *(0.24, 8.0, 0.8256, 0.9448),
    )
    assert (one.data, one.kind, one.machine) == ("digits", "bakeoff", "Chip")


def test_the_newest_come_first() -> None:
    keep(FIRST, SECOND)
    assert named() == [("bbbbbb", "vgg_d"), ("aaaaaa", "lenet5"), ("aaaaaa", "nin_cifar10")]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("20260301T120000-aaaaaa", ["lenet5", "nin_cifar10"]),
        ("20260301", ["lenet5", "nin_cifar10"]),
        ("20260301/lenet5", ["lenet5"]),
        ("*n*5", ["lenet5"]),
        ("vgg16", ["vgg_d"]),  # an alias
        ("20260302/vgg16", ["vgg_d"]),
    ],
)
def test_words_name_runs_and_networks(word: str, found: list[str]) -> None:
    keep(FIRST, SECOND)
    assert [model for _, model in named(word)] == found


@pytest.mark.parametrize(
    ("word", "hint"),
    [("2026", "2 runs"), ("lenet6", "Did you mean lenet5"), ("20260301/vgg_d", "Known: lenet5")],
)
def test_a_word_that_names_nothing_is_refused(word: str, hint: str) -> None:
    keep(FIRST, SECOND)
    with pytest.raises(UsageError, match=hint):
        named(word)


def test_without_any_record_the_first_command_is_named() -> None:
    with pytest.raises(ConvariumError, match="convarium bakeoff --data digits"):
        named("lenet5")


def test_a_folder_of_another_machine_is_read_from_its_own_log(tmp_path: Path) -> None:
    write_log(tmp_path / "theirs" / "log.jsonl", FIRST)
    found = select([str(tmp_path / "theirs")], overview())
    assert [one.model for one in found] == ["lenet5", "nin_cifar10"]
    start, result = full_record(found[0], str(tmp_path / "theirs"))
    assert (start["event"], result["model"]) == ("start", "lenet5")


def test_a_log_that_is_gone_is_named() -> None:
    folder = keep(FIRST)
    found = overview()[0]
    (folder / "runs" / f"{found.run}.jsonl").unlink()
    with pytest.raises(InputError, match="is gone"):
        full_record(found, "lenet5")


@pytest.mark.parametrize("count", [1, 50])
def test_one_query_reads_all(count: int) -> None:
    asked: list[str] = []
    with Database.in_memory() as database:
        for number in range(count):
            database.add(events_of(f"run{number}", {"model": "lenet5"}))
        assert database._connection is not None
        database._connection.set_trace_callback(asked.append)
        assert len(of_database(database)) == count
    assert len(asked) == 1


def test_a_locked_database_is_passed_by() -> None:
    folder = keep(FIRST)
    holder = sqlite3.connect(folder / "records.sqlite", isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("PRAGMA journal_mode=DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    told: list[str] = []
    found = overview(tell=told.append)
    holder.close()
    assert [one.model for one in found] == ["lenet5", "nin_cifar10"]
    assert len(told) == 1
    assert "(database is locked)" in told[0]
    assert "convarium doctor --repair" in told[0]


def test_a_database_damaged_behind_its_first_page_is_passed_by() -> None:
    folder = keep(FIRST)
    path = folder / "records.sqlite"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    told: list[str] = []
    assert [one.model for one in overview(tell=told.append)] == ["lenet5", "nin_cifar10"]
    assert "built anew" in told[0]


@pytest.mark.parametrize("odd", [[1], {"a": 1}, "many", float("nan"), float("inf"), 10**400])
def test_a_value_of_another_hand_is_no_number(odd: object) -> None:
    events = events_of("run", {"model": "lenet5", "params": odd, "megabytes": odd})
    for one in of_events(events):
        assert (one.params, one.megabytes) == (None, None)


@pytest.mark.parametrize("odd", [[1], {"a": 1}, "\ud800", float("nan"), 10**400])
def test_odd_values_do_not_stop_a_rebuild(odd: object) -> None:
    folder = keep(FIRST)
    write_log(
        folder / "runs" / "other.jsonl", events_of("other", {"model": "vgg_d", "params": odd})
    )
    assert rebuild() == 2
    assert {one.model for one in overview()} >= {"lenet5", "nin_cifar10"}


def test_nothing_in_a_record_steers_a_terminal() -> None:
    one = of_events(events_of("run\x1b]0;x\x07", {"model": "\x1b[31mlenet5"}))[0]
    assert all(word.isprintable() for word in (one.run, one.model))
