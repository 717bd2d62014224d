"""The pages of docs/: every network has its place, the drawings stand alone, nothing is stale."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from xml.etree import ElementTree

import pytest

from convarium.catalog import CATALOG
from convarium.facts import papers
from house.tree import ROOT

DOCS = ROOT / "docs"
FAMILIES = sorted({row.family for row in CATALOG.values()})
DRAWINGS = sorted([*DOCS.glob("families/svg/*.svg"), DOCS / "zoo.svg"])
SECTIONS = ("The block", "The networks", "Departures", "Verdicts", "Others' weights", "Training")


def page_of(family: str) -> str:
    return (DOCS / "families" / f"{family}.md").read_text("utf-8")


@pytest.fixture(scope="module")
def zoo():
    """The module that draws the zoo, from outside the package."""
    sys.path.insert(0, str(DOCS / "generate"))
    try:
        import zoo

        yield zoo
    finally:
        sys.path.remove(str(DOCS / "generate"))


@pytest.mark.parametrize("name", CATALOG)
def test_every_network_is_on_the_page_of_its_family(name) -> None:
    assert f"| `{name}`" in page_of(CATALOG[name].family)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_page_has_every_section(family) -> None:
    assert not [s for s in SECTIONS if f"\n## {s}" not in page_of(family)]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_page_opens_with_its_prose(family) -> None:
    prose = (DOCS / "families" / "prose" / f"{family}.md").read_text("utf-8")
    assert page_of(family).startswith(prose.strip())


def test_the_index_lists_every_family() -> None:
    listed = (DOCS / "families" / "index.md").read_text("utf-8").split()
    assert set(FAMILIES) <= set(listed)


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_drawing_asks_nothing_of_a_network(path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"https?://[^\"']+", text) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in text
    assert ElementTree.fromstring(text).find("{http://www.w3.org/2000/svg}title") is not None


def test_nobody_takes_from_a_later_paper(zoo) -> None:
    for giver, taker, _, _ in zoo.LINEAGE:
        assert zoo.published(giver) < zoo.published(taker), f"{giver} gave to {taker}"


def test_the_zoo_has_every_family(zoo) -> None:
    assert {family for family, _, _ in zoo.PAPERS.values()} == set(FAMILIES)


def test_the_zoo_knows_its_papers(zoo) -> None:
    assert set(zoo.PAPERS) <= set(papers())


@pytest.mark.slow
def test_the_generated_pages_are_fresh() -> None:
    words = [sys.executable, str(DOCS / "generate"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `python docs/generate`: {done.stdout}{done.stderr}"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("sphinx") is None, reason="needs the extra docs")
def test_the_site_builds_without_warnings(tmp_path) -> None:
    words = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-q", str(DOCS), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
