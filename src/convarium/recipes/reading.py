"""Recipes from outside: records, TOML files, `--set`. Nothing that a stranger wrote is trusted."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from convarium import catalog
from convarium.errors import InputError, UsageError, unknown_name
from convarium.files import printable, shown
from convarium.recipes.model import Recipe
from convarium.recipes.papers import find_paper

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 64 * 1024  # bytes of a file
_FIELDS: dict[str, Field[Any]] = {f.name: f for f in fields(Recipe)}
_MAPPINGS = ("options", "detection", "sources")
_LENGTHS = ("epochs", "iterations")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text on one line",
    "bool": "true or false",
    "Range": "two numbers, the lower first",
}


def recipe_from_dict(told: Mapping[str, Any], *, base: Recipe | None = None) -> Recipe:
    """The recipe with these fields; others are those of `base`, or the defaults.

    Args:
        told: field to value, ranges as pairs; sources may be left out.
        base: what the fields that are not told come from.

    Raises:
        UsageError: an unknown field or network, a value of another type or out of bounds, or one
            is missing.
    """
    values: dict[str, Any] = {}
    if base is not None:
        values = {name: getattr(base, name) for name in _FIELDS}
    given = {name: _checked(name, value) for name, value in told.items()}
    lengths = [name for name in _LENGTHS if given.get(name) is not None]
    if lengths:
        values |= dict.fromkeys(_LENGTHS)
    values |= given
    if given.get("init_from") is not None:
        catalog.find(given["init_from"])
    needed = [n for n, f in _FIELDS.items() if f.default is f.default_factory is MISSING]
    missing = [name for name in needed if name not in values]
    if missing:
        raise UsageError(f"a recipe needs {' and '.join(missing)}.")
    return Recipe(**values)


def read_recipe(path: str | Path) -> Recipe:
    """The recipe of a TOML file; `base = "NAME"` takes a paper's for what the file leaves out.

    Raises:
        InputError: the file cannot be read, is too large, is no TOML, or no recipe comes of it.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InputError(f"{shown(path)}: a recipe has at most {LARGEST // 1024} kB.")
        return recipe_from_toml(data, printable(path.stem))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no name of a file"
        raise InputError(f"{shown(path)}: {reason}.") from error
    except UsageError as error:
        raise InputError(f"{shown(path)}: {error}") from error


def recipe_from_toml(data: bytes, name: str) -> Recipe:
    """The recipe in the bytes of a TOML file, called `name` unless it says otherwise.

    Raises:
        UsageError: no TOML, or no recipe comes of it.

    >>> recipe_from_toml(b'base = "resnet_cifar"\\nepochs = 20', "mine").epochs
    20
    """
    try:
        told = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError("the file is no UTF-8 text.") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or "nested too deeply"
        raise UsageError(f"the file is no TOML: {reason}.") from error
    named = told.pop("base", None)
    if named is not None and not isinstance(named, str):
        raise UsageError("base must be text: the name of a paper's recipe.")
    base = None if named is None else find_paper(named)
    if base is None and "lr" not in told:
        raise UsageError(
            'a recipe needs lr, and epochs or iterations, or a base = "NAME" with them.'
        )
    sources = dict(base.sources if base else {})
    sources |= dict.fromkeys(told, f"the file {name}")
    reasons = _checked("sources", told.pop("sources", {}))
    for field in reasons:
        if field not in _FIELDS:
            raise unknown_name("field of a recipe", field, _FIELDS)
    sources |= reasons
    return recipe_from_dict({"name": name, **told, "sources": sources}, base=base)


def with_overrides(recipe: Recipe, words: Iterable[str]) -> Recipe:
    """The recipe with `field=value` words of `--set` in it, typed by the field.

    Values: numbers, true, false, none, text, a range as "256,480"; `options.NAME=VALUE` is for the
    network's builder.

    Raises:
        UsageError: no such field, or no such value.

    >>> with_overrides(Recipe("r", lr=0.1, epochs=2), ["lr=1e-3", "options.dropout=0.3"]).lr
    0.001
    """
    told: dict[str, Any] = {}
    options = dict(recipe.options)
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals:
            raise UsageError(f"--set takes field=value, not {word!r}.")
        if name.startswith("options.") and len(name) > len("options."):
            options[name.removeprefix("options.")] = _plain(value)
            name, told["options"] = "options", options
        elif name not in _FIELDS or name in ("name", *_MAPPINGS):
            known = [f for f in _FIELDS if f not in ("name", *_MAPPINGS)]
            raise unknown_name("field of a recipe", name, [*known, "options.NAME"])
        else:
            told[name] = _typed(name, value)
    sources = {**recipe.sources, **dict.fromkeys(told, "--set")}
    return recipe_from_dict({**told, "sources": sources}, base=recipe)


def _checked(name: str, value: Any) -> Any:
    """The value as the field holds it, or the error that says what the field takes."""
    if name not in _FIELDS:
        raise unknown_name("field of a recipe", str(name), _FIELDS)
    kind, may_lack = _kind(name)
    if value is None and may_lack:
        return None
    found = _MAKERS[kind](value)
    if found is None:
        rule = "a table of names and plain values" if name in _MAPPINGS else _WORDS[kind]
        raise UsageError(f"{name} must be {rule}, not {_short(value)}.")
    return found


def _kind(name: str) -> tuple[str, bool]:
    """The type's word of a field, and whether it may be none."""
    kind = str(_FIELDS[name].type).removesuffix(" | None")
    return ("table" if name in _MAPPINGS else kind), kind != str(_FIELDS[name].type)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    is_huge = isinstance(value, int) and abs(value) > 10**300  # which float() cannot take
    return float("inf") if is_huge else float(value)


def _range(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    low, high = map(_number, value)
    return None if low is None or high is None else (low, high)


def _table(value: Any) -> dict[str, Any] | None:
    """Names and plain values: a record's JSON, a builder and a page must take them."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return None
    items = [i for v in value.values() for i in (v if isinstance(v, (list, tuple)) else (v,))]
    words = [*value, *(i for i in items if isinstance(i, str))]
    is_plain = all(isinstance(i, (str, int, float, bool)) for i in items)
    return dict(value) if is_plain and all(w.isprintable() for w in words) else None


def _is_a_line(value: Any) -> bool:
    """Text that a terminal shows as it is, and that says something."""
    return isinstance(value, str) and value.isprintable() and bool(value.strip())


_MAKERS: dict[str, Any] = {
    "int": _whole,
    "float": _number,
    "str": lambda value: value if _is_a_line(value) and len(value) <= 1000 else None,
    "bool": lambda value: value if isinstance(value, bool) else None,
    "Range": _range,
    "table": _table,
}


def _typed(name: str, word: str) -> Any:
    """What a word of `--set` means for a field; left as it is where it means nothing."""
    kind, may_lack = _kind(name)
    if may_lack and word.lower() == "none":
        return None
    if kind == "Range":
        return [_plain(part) for part in word.split(",")]
    return word if kind == "str" else _plain(word)


def _plain(word: str) -> Any:
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "so large a number"
    return text if len(text) <= 60 else text[:57] + "..."
