"""Every public module, class and function says what it is for; the doctests are true."""

from __future__ import annotations

import ast
import doctest
import importlib

from house.tree import PACKAGE, name_of, sources, syntax


def test_public_names_have_docstrings() -> None:
    missing = []
    for path in sources():
        tree = syntax(path)
        public = [tree] + [
            node
            for node in tree.body
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name[0] != "_"
        ]
        missing += [
            f"{name_of(path)}: {getattr(node, 'name', 'the module')}"
            for node in public
            if not ast.get_docstring(node)
        ]
    assert missing == []


def test_doctests() -> None:
    failed = []
    for path in sources():
        if ">>>" in path.read_text("utf-8"):
            words = path.relative_to(PACKAGE.parent).with_suffix("").parts
            module = importlib.import_module(".".join(words).removesuffix(".__init__"))
            if doctest.testmod(module).failed:
                failed.append(name_of(path))
    assert failed == []
