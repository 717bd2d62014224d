"""The verdicts of every network, frozen: a change of any is seen in a diff of golden/."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from convarium import catalog
from long_networks import marked

MAKE = runpy.run_path(str(Path(__file__).parent / "golden" / "make.py"))
FROZEN = json.loads(MAKE["GOLDEN"].read_text("utf-8"))


def test_every_network_is_frozen() -> None:
    assert list(FROZEN) == list(catalog.CATALOG)


@pytest.mark.parametrize("name", marked(catalog.CATALOG))
def test_verdicts_are_the_frozen_ones(name: str) -> None:
    assert MAKE["_words"](name) == FROZEN[name]
