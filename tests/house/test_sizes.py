"""STYLE's budgets: a file 400 lines, a class 120, a function 40, a signature 7, a line 100."""

from __future__ import annotations

import ast

from house.tree import ROOT, name_of, sources, syntax

FILE_LINES, CLASS_LINES, FUNCTION_LINES, PARAMETERS, NESTING, LINE = 400, 120, 40, 7, 3, 100
BANNED = {"utils", "helpers", "misc", "common"}
CODE = [*sources(), *sources(ROOT / "tests"), *sources(ROOT / "benchmarks")]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_file_length() -> None:
    over = []
    for path in CODE:
        lines = path.read_text("utf-8").splitlines()
        longest = max(map(len, lines), default=0)
        if len(lines) > FILE_LINES or longest > LINE:
            over.append(f"{name_of(path)}: {len(lines)} lines, the longest {longest}")
    assert over == []


def test_file_name_says_its_subject() -> None:
    assert [name_of(path) for path in CODE if path.stem in BANNED] == []


def test_functions_and_classes() -> None:
    over = []
    for path in sources():
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.ClassDef) and _length(node) > CLASS_LINES:
                over.append(f"{name_of(path)}: class {node.name} has {_length(node)} lines")
            elif isinstance(node, Function):
                over += [f"{name_of(path)}: {fault}" for fault in _faults(node)]
    assert over == []


def _faults(node: Function) -> list[str]:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    count = len([a for a in arguments if a.arg not in ("self", "cls")])
    depth = max((_depth(statement) for statement in node.body), default=0)
    # A command's parameters are its options: the command line, not a caller, fills them.
    is_command = any(
        isinstance(a.annotation, ast.Subscript) and "typer" in ast.dump(a.annotation)
        for a in arguments
    )
    faults = []
    if _length(node) - _docstring_length(node) > FUNCTION_LINES and not is_command:
        faults.append(f"{node.name} has {_length(node)} lines")
    if count > PARAMETERS and not is_command:
        faults.append(f"{node.name} takes {count} parameters")
    if depth > NESTING:
        faults.append(f"{node.name} nests {depth} deep")
    return faults


def _length(node: ast.ClassDef | Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstring_length(node: Function) -> int:
    if ast.get_docstring(node) is None:
        return 0
    return (node.body[0].end_lineno or 0) - node.body[0].lineno + 1


def _depth(node: ast.AST) -> int:
    blocks = (ast.If, ast.For, ast.While, ast.With, ast.Try)
    inner = max((_depth(child) for child in _statements(node)), default=0)
    return inner + isinstance(node, blocks)


def _statements(node: ast.AST) -> list[ast.stmt]:
    if isinstance(node, (*Function.__args__, ast.ClassDef)):
        return []
    found: list[ast.stmt] = []
    for field in ("body", "orelse", "finalbody"):
        children = getattr(node, field, [])
        # "elif" reads as one level, though the tree nests it.
        if field == "orelse" and len(children) == 1 and isinstance(children[0], ast.If):
            children = children[0].body + children[0].orelse
        found += [child for child in children if isinstance(child, ast.stmt)]
    for handler in getattr(node, "handlers", []):
        found += handler.body
    return found
