"""One written page serves all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_races import make_race

from convarium.records.model import Race
from convarium.report import write_report


@pytest.fixture(scope="session")
def race() -> Race:
    return make_race()


@pytest.fixture(scope="session")
def page_path(race: Race, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(race, tmp_path_factory.mktemp("report"))
