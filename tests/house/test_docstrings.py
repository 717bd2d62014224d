"""Every public module, class and function says what it is for; the doctests are true."""

from __future__ import annotations

import ast
import doctest
import importlib

import pytest

from house.tree import PACKAGE, sources, syntax


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_public_names_have_docstrings(path) -> None:
    tree = syntax(path)
    missing = [] if ast.get_docstring(tree) else ["the module"]
    for node in tree.body:
        public = isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name[0] != "_"
        if public and not ast.get_docstring(node):
            missing.append(node.name)
    assert not missing


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_doctests(path) -> None:
    if ">>>" not in path.read_text("utf-8"):
        return
    words = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(words).removesuffix(".__init__"))
    assert doctest.testmod(module).failed == 0
