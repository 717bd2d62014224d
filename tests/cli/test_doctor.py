"""doctor: what is found, what is a problem, and what a repair mends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from convarium.cli import findings, main
from convarium.cli.findings import Finding, check_disk, check_home, check_libraries
from convarium.files import home
from convarium.records.health import Health
from records.record_logs import events_of, keep, write_log

Capture = pytest.CaptureFixture[str]
RUN = events_of("run1", {"model": "lenet5"})


def doctor(capsys: Capture, *words: str, exit_code: int = 0) -> dict[str, Any]:
    """What `doctor --json` says, its findings by what they are about."""
    assert main(["doctor", "--json", *words]) == exit_code
    told = json.loads(capsys.readouterr().out)
    return {**told, "findings": {one["what"]: one for one in told["findings"]}}


def by_name(needs: list[str]) -> dict[str, Finding]:
    return {one.what: one for one in check_libraries(needs)}


def test_every_subject_is_looked_at(capsys: Capture) -> None:
    told = doctor(capsys)
    wanted = {"python", "convarium", "torch", "numpy", "processor", "threads", "instruction sets"}
    wanted |= {"accelerator", "energy counters", "memory", "disk here", "disk at home", "home"}
    assert wanted | {"speed probe", "database"} <= set(told["findings"])
    assert sum(told["summary"].values()) == len(told["findings"])
    assert {one["state"] for one in told["findings"].values()} <= {"ok", "note", "problem"}


def test_a_counter_that_is_missing_says_why(capsys: Capture) -> None:
    counter = doctor(capsys)["findings"]["energy counters"]
    assert counter["state"] == "ok" or counter["said"].startswith("not available: ")


def test_a_library_that_is_missing_or_old_is_a_problem_with_its_line() -> None:
    found = by_name(["no-such-library>=2.1", "numpy>=9999.0", "pillow>=1.0", "rich"])
    assert [one.state for one in found.values()] == ["problem", "problem", "ok", "ok"]
    assert found["no-such-library"].mend == "pip install 'no-such-library>=2.1'"
    assert "older than 9999.0" in found["numpy"].said


def test_versions_compare_as_numbers() -> None:
    (found,) = check_libraries(["numpy>=1.9"])  # 2.x and 1.26 are both above 1.9
    assert found.state == "ok"


def test_an_extra_that_is_missing_is_a_note_with_its_line() -> None:
    found = by_name(['no-such-library>=1; extra == "ship"', 'pytest>=1; extra == "dev"'])
    assert (found["extra ship"].state, found["extra dev"].state) == ("note", "ok")
    assert found["extra ship"].mend == "pip install 'convarium[ship]'"
    assert "no-such-library" in found["extra ship"].said


def test_a_home_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = next(iter(check_home(tmp_path / "file" / "home")))
    assert found.state == "problem"
    assert "CONVARIUM_HOME" in found.mend


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_without_the_right_to_write_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    found = next(iter(check_home(tmp_path)))
    tmp_path.chmod(0o700)
    assert (found.state, "cannot be written" in found.said) == ("problem", True)


@pytest.mark.skipif(os.name != "posix", reason="rights are otherwise there")
def test_a_home_that_everybody_may_write_is_a_note(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    found = next(iter(check_home(tmp_path)))
    assert (found.state, found.mend) == ("note", f"chmod o-w {tmp_path}")


@pytest.mark.parametrize(("free", "state"), [(10**6, "problem"), (10**9, "note"), (10**11, "ok")])
def test_little_disk_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    class Usage:
        pass

    usage = Usage()
    usage.free = free  # type: ignore[attr-defined]
    monkeypatch.setattr(findings.shutil, "disk_usage", lambda _: usage)
    assert {one.state for one in check_disk(tmp_path, tmp_path / "not" / "yet")} == {state}


@pytest.mark.parametrize("text", ["{", "[]", '{"choices": 3}'])
def test_a_damaged_probe_file_is_a_note(tmp_path: Path, text: str) -> None:
    (tmp_path / "probe.json").write_text(text)
    found = {one.what: one for one in check_home(tmp_path)}
    assert found["speed probe"].state == "note"
    assert str(tmp_path / "probe.json") in found["speed probe"].mend


def test_a_damaged_database_is_a_problem_until_it_is_repaired(capsys: Capture) -> None:
    folder = keep(RUN)
    (folder / "records.sqlite").write_bytes(b"no database" * 1000)
    found = doctor(capsys, exit_code=1)["findings"]["database"]
    assert (found["state"], found["mend"]) == ("problem", "convarium doctor --repair")
    told = doctor(capsys, "--repair")
    assert "1 run" in told["repaired"]
    assert "1 runs, 1 results" in told["findings"]["database"]["said"]
    assert doctor(capsys, "--repair")["repaired"] is None


def test_looking_leaves_a_damaged_database_as_it_is(capsys: Capture) -> None:
    folder = keep(RUN)
    (folder / "records.sqlite").write_bytes(b"no database" * 1000)
    before = sorted(path.name for path in folder.iterdir())
    doctor(capsys, exit_code=1)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_database_that_is_gone_comes_back_from_the_logs(capsys: Capture) -> None:
    write_log(home() / "runs" / "run1.jsonl", RUN)
    assert doctor(capsys, exit_code=1)["findings"]["database"]["state"] == "problem"
    assert "1 runs" in doctor(capsys, "--repair")["findings"]["database"]["said"]


def test_torn_lines_are_a_note(capsys: Capture) -> None:
    folder = keep(RUN)
    with (folder / "runs" / "run1.jsonl").open("a") as log:
        log.write('{"event": "res')
    found = doctor(capsys)["findings"]["torn lines"]
    assert found["state"] == "note"
    assert found["said"].startswith("1 torn")


def test_the_text_names_the_way_out(capsys: Capture) -> None:
    folder = keep(RUN)
    (folder / "records.sqlite").write_bytes(b"no database" * 1000)
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "->  convarium doctor --repair" in text
    assert text.splitlines()[-1].endswith("1 problem")


def test_records_that_cannot_be_listed_are_a_problem(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = keep(RUN)

    def closed(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", closed)
    found = doctor(capsys, exit_code=1)["findings"]["database"]
    assert found["said"] == f"cannot be read (Permission denied): {folder}/runs"
    assert main(["doctor", "--repair"]) == 3
    assert "the records cannot be repaired" in capsys.readouterr().err


def test_logs_without_rights_are_a_note() -> None:
    health = Health(True, logs=1, unread={"run1.jsonl": "Permission denied"})
    found = {one.what: one for one in findings.check_database(health, home())}
    assert found["unread logs"].state == "note"
    assert "run1.jsonl (Permission denied)" in found["unread logs"].said
