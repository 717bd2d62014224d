"""One written page serves all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_races import make_race

from convarium.records.model import Race
from convarium.report import write_report
from convarium.report.drawing import Drawing


@pytest.fixture(scope="session")
def race() -> Race:
    return make_race()


@pytest.fixture(scope="session")
def page_path(race: Race, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(race, tmp_path_factory.mktemp("report"))


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that a test writes for itself has no PNG drawn: they take half the time of it."""
    monkeypatch.setattr(Drawing, "png", lambda drawing: b"")
