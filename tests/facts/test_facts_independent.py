"""Facts stand alone: nothing under facts/ sees the networks, and nothing writes the rows files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "src" / "convarium" / "facts"
FACTS_FILES = sorted(FACTS.rglob("*.py"))
ALL_FILES = [
    path for part in ("src", "tests", "benchmarks", "docs") for path in (ROOT / part).rglob("*.py")
]
OF_OURS = ("convarium.errors", "convarium.facts")
OUTSIDE = {"yaml"}
STANDARD = {
    "__future__",
    "collections",
    "contextlib",
    "dataclasses",
    "fractions",
    "functools",
    "importlib",
}
STANDARD |= {"math", "re", "typing"}
RUNS_CODE = {"eval", "exec", "compile", "__import__", "import_module"}


def imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def called(tree: ast.AST) -> set[str]:
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        f.attr if isinstance(f, ast.Attribute) else f.id
        for f in functions
        if isinstance(f, (ast.Attribute, ast.Name))
    }


@pytest.mark.parametrize("path", FACTS_FILES, ids=lambda path: path.name)
def test_facts_import_no_network_and_no_torch(path: Path) -> None:
    for module in imports(ast.parse(path.read_text("utf-8"))):
        ours = module.startswith(tuple(f"{word}." for word in OF_OURS))
        assert ours or module.split(".")[0] in OUTSIDE | STANDARD, f"{path.name} imports {module}"


@pytest.mark.parametrize("path", FACTS_FILES, ids=lambda path: path.name)
def test_facts_execute_nothing(path: Path) -> None:
    # re.compile is the one `compile` that is meant.
    text = path.read_text("utf-8").replace("re.compile(", "re_compile(")
    assert not called(ast.parse(text)) & RUNS_CODE


@pytest.mark.parametrize("path", FACTS_FILES, ids=lambda path: path.name)
def test_yaml_is_read_safely(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"Loader", "FullLoader", "UnsafeLoader", "unsafe_load", "full_load"}


def test_no_script_writes_yaml() -> None:
    """The rows are typed in; a dump of YAML anywhere would be a way to generate them."""
    dumps = {"dump", "safe_dump", "dump_all", "safe_dump_all"}
    for path in ALL_FILES:
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert not (node.value.id == "yaml" and node.attr in dumps), path


def test_no_script_writes_into_the_rows() -> None:
    """Whoever names a file of facts/rows may read it, not write it."""
    writes = {"write_text", "write_bytes", "writelines", "write", "replace_file"}
    for path in ALL_FILES:
        tree = ast.parse(path.read_text("utf-8"))
        words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        if path != Path(__file__) and any("facts/rows" in w for w in words if isinstance(w, str)):
            assert not called(tree) & writes, path
