"""Logs and the database over them: nothing finished is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from convarium.records import Database, RunLog, read_events, rebuild
from convarium.records.events import append

RESULT: dict[str, Any] = {
    "model": "lenet5",
    "status": "done",
    "top1_correct": 350,
    "top1_total": 360,
    "params": 60000,
    "macs": 416520,
    "ms_batch1": 0.5,
    "train_seconds": 10.0,
}
WRITER = """
import sys
from pathlib import Path
from convarium.records import RunLog
for n in range(8):
    log = RunLog("train", Path(sys.argv[1]), tell=print, seed=n)
    log.write("result", key=str(n), result={"model": f"net{sys.argv[2]}_{n}", "status": "done"})
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for records of its own."""
    monkeypatch.setenv("CONVARIUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def a_run(out: Path | None = None, **result: Any) -> RunLog:
    """A finished run with one result."""
    log = RunLog("bakeoff", out, tell=print, data="digits", seed=0, command="convarium ...")
    log.write("result", key="k", result={**RESULT, **result})
    log.write("end", status="done")
    return log


def everything(home: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All rows of the database."""
    with Database(home) as database:
        return database.runs(), database.results()


def test_a_run_is_in_the_database_and_in_two_logs(home: Path, tmp_path: Path) -> None:
    log = a_run(tmp_path / "out")
    runs, results = everything(home)
    assert [(r["run"], r["kind"], r["status"]) for r in runs] == [(log.id, "bakeoff", "done")]
    assert [(r["model"], r["top1_correct"], r["ms_batch1"]) for r in results] == [
        ("lenet5", 350, 0.5)
    ]
    copies = (tmp_path / "out" / "log.jsonl", home / "runs" / f"{log.id}.jsonl")
    assert copies[0].read_text() == copies[1].read_text()
    assert [event["event"] for event in read_events(copies[0])] == ["start", "result", "end"]


def test_every_line_names_the_schema(home: Path, tmp_path: Path) -> None:
    a_run(tmp_path)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert {json.loads(line)["schema"] for line in lines} == {"convarium/1"}


def test_the_database_is_rebuilt_from_the_logs(home: Path) -> None:
    for model in ("lenet5", "vgg_d"):
        a_run(model=model)
    before = everything(home)
    for file in home.glob("records.sqlite*"):
        file.unlink()
    assert rebuild(home) == 2
    assert everything(home) == before


def test_the_database_is_in_wal_mode(home: Path) -> None:
    import sqlite3

    a_run()
    connection = sqlite3.connect(home / "records.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_damaged_database_is_set_aside_and_built_anew(home: Path) -> None:
    a_run()
    before = everything(home)
    for file in home.glob("records.sqlite*"):
        file.unlink()
    (home / "records.sqlite").write_bytes(b"this is no database" * 100)
    told: list[str] = []
    with Database(home, tell=told.append) as database:
        assert (database.runs(), database.results()) == before
    assert "built anew" in told[0]
    assert (home / "records.sqlite.damaged").is_file()


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_last_line_is_passed_over_and_the_next_is_whole(tmp_path: Path, cut: int) -> None:
    log = tmp_path / "log.jsonl"
    append(log, {"event": "start", "run": "a"})
    append(log, {"event": "result", "run": "a", "result": {"model": "x" * 60}})
    log.write_bytes(log.read_bytes()[:-cut])
    append(log, {"event": "end", "run": "a"})
    events = [event["event"] for event in read_events(log)]
    # A cut of 1 takes the line's end alone: the event is whole.
    assert events == (["start", "result", "end"] if cut == 1 else ["start", "end"])


@pytest.mark.parametrize("line", ["", "null", "[1]", "{}", '{"event": 3}', "\x00\x00", "[" * 9999])
def test_lines_that_are_no_events_are_passed_over(tmp_path: Path, line: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(line + '\n{"event": "end"}\n')
    assert [event["event"] for event in read_events(log)] == ["end"]


def test_a_log_that_is_not_there_has_no_events(tmp_path: Path) -> None:
    assert list(read_events(tmp_path / "none.jsonl")) == []


@pytest.mark.parametrize("odd", [{}, {"result": None}, {"result": {}}, {"result": [1]}])
def test_an_event_of_another_hand_does_not_stop_a_rebuild(home: Path, odd: dict[str, Any]) -> None:
    log = a_run()
    append(home / "runs" / f"{log.id}.jsonl", {"event": "result", "run": log.id, **odd})
    assert rebuild(home) == 1
    assert len(everything(home)[1]) == 1


def test_two_writers_lose_nothing(home: Path, tmp_path: Path) -> None:
    jobs = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "out"), name])
        for name in "ab"
    ]
    assert [job.wait(timeout=120) for job in jobs] == [0, 0]
    runs, results = everything(home)
    assert len(runs) == 16
    assert {row["model"] for row in results} == {f"net{w}_{n}" for w in "ab" for n in range(8)}
    assert len(list(read_events(tmp_path / "out" / "log.jsonl"))) == 32


def test_a_home_that_cannot_be_written_costs_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONVARIUM_HOME", str(tmp_path / "file"))
    told: list[str] = []
    log = RunLog("train", tmp_path / "out", tell=told.append)
    log.write("end", status="done")
    assert len(told) == 1
    assert "cannot be written" in told[0]
    assert len(list(read_events(tmp_path / "out" / "log.jsonl"))) == 2


def test_taking_an_event_in_twice_changes_nothing(home: Path) -> None:
    log = a_run()
    before = everything(home)
    with Database(home) as database:
        database.add(read_events(home / "runs" / f"{log.id}.jsonl"))
    runs, results = everything(home)
    assert results == before[1]
    assert [run["run"] for run in runs] == [log.id]


def test_results_are_found_by_model(home: Path) -> None:
    a_run(model="lenet5")
    a_run(model="vgg_d")
    with Database(home) as database:
        assert [row["model"] for row in database.results("vgg%")] == ["vgg_d"]
