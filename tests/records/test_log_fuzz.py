"""Logs of any bytes: whole events are read, the rest is passed over, the database takes both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convarium.records import Database, read_events
from convarium.records.events import append

_QUICK = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@_QUICK
@given(garbage=st.binary(max_size=200))
def test_bytes_of_any_kind_cost_no_whole_event(tmp_path: Path, garbage: bytes) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"event": "start", "run": "a"}\n' + garbage)
    append(log, {"event": "end", "run": "a"})
    events = [event["event"] for event in read_events(log)]
    assert (events[0], events[-1]) == ("start", "end")


@_QUICK
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_as_it_was(tmp_path: Path, text: str) -> None:
    log = tmp_path / "log.jsonl"
    log.unlink(missing_ok=True)
    append(log, {"event": "start", "data": text})
    assert [event["data"] for event in read_events(log)] == [text]


@_QUICK
@given(kind=st.sampled_from(["start", "result", "end"]), told=_JSON, result=_JSON)
def test_the_database_takes_events_of_any_shape(
    tmp_path: Path, kind: str, told: Any, result: Any
) -> None:
    events = [
        {"event": kind, "run": "a", "at": told, "result": result, "status": told, "seed": told},
        {"event": "start", "run": "b", "at": "2000-01-01"},
    ]
    with Database(tmp_path, tell=print) as database:
        database.add(events)
        assert "b" in {run["run"] for run in database.runs()}
