"""The source tree as the house rules see it: files, syntax trees, imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "convarium"

# Ground floor first: a part imports only from parts before it, and from its own files.
ORDER = (
    "errors",
    "files",
    "facts",
    "departures",
    "catalog",
    "recipes",
    "records",
    "machine",
    "blocks",
    "detect",
    "nets",
    "trace",
    "cost",
    "interop",
    "verify",
    "data",
    "evaluate",
    "train",
    "bakeoff",
    "claims",
    "shrink",
    "ship",
    "report",
    "web",
    "api",
    "cli",
)


def sources(folder: Path = PACKAGE) -> list[Path]:
    """Every Python file below `folder`."""
    return sorted(folder.rglob("*.py"))


def name_of(path: Path) -> str:
    """A file's name as a message says it."""
    return str(path.relative_to(ROOT))


@cache
def syntax(path: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse(path.read_text("utf-8"))


def part_of(path: Path) -> str:
    """The part of the house a file belongs to: a package, or a file of the top package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Dotted names that a file imports anywhere, with their nodes."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            module = node.module or ""
            if module == "convarium":
                yield from ((f"convarium.{alias.name}", node) for alias in node.names)
            else:
                yield module, node
