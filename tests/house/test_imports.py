"""A package imports only from those above it in DESIGN's list; some must stay free of torch."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from house.tree import ORDER, PACKAGE, imports, name_of, part_of, sources, syntax

TORCH_FREE = ("errors", "facts", "catalog", "recipes", "records")
HEAVY = {"torch", "torchvision", "sklearn", "numpy", "altair", "vl_convert", "PIL"}


def test_every_part_has_its_place() -> None:
    parts = {part_of(path) for path in sources()} - {"__init__", "__main__"}
    assert parts <= set(ORDER)


def test_arrows_point_down() -> None:
    wrong = []
    for path in sources():
        if path.parent == PACKAGE and path.stem in ("__init__", "__main__"):
            continue
        own = part_of(path)
        for name, node in imports(path):
            words = name.split(".")
            if words[0] != "convarium" or len(words) < 2 or words[1].startswith("__"):
                continue
            if words[1] != own and ORDER.index(words[1]) >= ORDER.index(own):
                wrong.append(f"{name_of(path)}:{node.lineno} imports {words[1]} from above it")
    assert wrong == []


def test_no_star_imports() -> None:
    stars = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    ]
    assert stars == []


@pytest.mark.parametrize("part", TORCH_FREE)
def test_the_ground_floor_knows_no_torch(part) -> None:
    for path in sources():
        if part_of(path) == part:
            heavy = {name.split(".")[0] for name, _ in imports(path)} & {"torch", "torchvision"}
            assert not heavy, f"{path.name} imports {heavy}"


def test_torchvision_is_never_imported_at_top_level() -> None:
    found = []
    for path in sources():
        for node in syntax(path).body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "torchvision" for name in names):
                found.append(f"{name_of(path)}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize(
    "statement",
    [
        "import convarium",
        "import convarium; convarium.list_models(); convarium.model_facts('vgg_d')",
        "import convarium.cli",
    ],
)
def test_nothing_heavy_is_imported(statement) -> None:
    code = f"import sys; {statement}; print(sorted(set(sys.modules) & {HEAVY!r}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
