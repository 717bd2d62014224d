"""The rows files themselves: no entry without a meaning, no block or table without a use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from convarium.facts.rows import FAMILIES_WITH_ROWS

ROWS = Path(__file__).resolve().parents[2] / "src" / "convarium" / "facts" / "rows"
SECTIONS = {"use", "defaults", "blocks", "tables", "networks"}
CONVENTIONS = {"input", "bias", "bn", "where", "confidence", "table"}


def read(family: str) -> dict[str, Any]:
    file: dict[str, Any] = yaml.safe_load((ROWS / f"{family}.yaml").read_text("utf-8"))
    return file


def lines(file: dict[str, Any]) -> list[str]:
    return [
        line
        for part in ("blocks", "tables")
        for rows in file.get(part, {}).values()
        for line in rows
    ]


def entries(file: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**file["defaults"], **network} for network in file["networks"].values()]


def test_every_file_is_a_family() -> None:
    assert {path.stem for path in ROWS.iterdir()} == set(FAMILIES_WITH_ROWS)


@pytest.mark.parametrize("family", FAMILIES_WITH_ROWS)
def test_file(family: str) -> None:
    """Conventions are known words; any other key of an entry is a parameter of some line."""
    file = read(family)
    used = read(file["use"]) if "use" in file else {}
    text = " ".join(lines(file) + lines(used))
    assert set(file) <= SECTIONS
    for entry in entries(file):
        assert set(entry) >= CONVENTIONS
        assert entry["bn"] in ("none", "after", "before")
        assert entry["bias"] in (True, False)
        assert all(f"${key}" in text for key in set(entry) - CONVENTIONS)


def test_every_block_and_table_is_used() -> None:
    files = [read(family) for family in FAMILIES_WITH_ROWS]
    kinds = {line.split()[1] for file in files for line in lines(file)}
    values = {str(value) for file in files for entry in entries(file) for value in entry.values()}
    for file in files:
        assert {heading.split()[0] for heading in file.get("blocks", {})} <= kinds | values
        assert set(file.get("tables", {})) <= values
