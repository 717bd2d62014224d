"""What README and docs tell a reader to type exists; the map names every part."""

from __future__ import annotations

import re

import pytest

from house.tree import ROOT, part_of, sources

README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^(?:\$ )?convarium ([a-z]+)", README, flags=re.MULTILINE)
TARGETS = re.findall(r"^(?:\$ )?make ([a-z-]+)", README, flags=re.MULTILINE)


def test_readme_shows_the_two_commands() -> None:
    assert {"run", "test"} <= set(TARGETS)


@pytest.mark.parametrize("target", sorted(set(TARGETS)))
def test_make_target_exists(target) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("verb", sorted(set(COMMANDS)))
def test_verb_exists(verb) -> None:
    from convarium.cli import VERBS

    assert verb in VERBS


def test_links_point_to_files() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing


def test_the_map_names_every_part() -> None:
    page = (ROOT / "docs" / "map.md").read_text("utf-8")
    parts = {part_of(path) for path in sources()} - {"__init__", "__main__"}
    assert not [part for part in sorted(parts) if part not in page]
