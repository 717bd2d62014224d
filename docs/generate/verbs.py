"""The page of the verbs: what `convarium VERB --help` prints."""

from __future__ import annotations

from typing import Any

from convarium.cli.app import VERBS, build, load_verb
from pieces import page, plain

_COLUMNS = 100


def verbs() -> dict[str, str]:
    """The page: path below docs and text."""
    parts = [f"## {verb}\n\n{plain(line)}\n\n{_help(verb)}" for verb, (_, line) in VERBS.items()]
    head = (
        "What the program prints for `convarium VERB --help`. With `--json` a verb prints one"
        " object on stdout; progress and messages go to stderr."
    )
    return {"verbs.md": page("# The verbs", head, _program(), *parts)}


def _help(verb: str) -> str:
    return _block(load_verb(verb), f"convarium {verb}")


def _program() -> str:
    return _block(build(), "convarium")


def _block(command: Any, name: str) -> str:
    context = command.context_class(
        command, info_name=name, terminal_width=_COLUMNS, max_content_width=_COLUMNS
    )
    return f"```text\n{command.get_help(context).rstrip()}\n```"
