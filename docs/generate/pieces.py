"""Small pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, right: str = "") -> str:
    """A table; `right` has an "r" for each column of numbers, a space for one of words.

    >>> print(table(["name", "MACs"], [["vgg|d", 3]], right=" r"))
    | name | MACs |
    |---|--:|
    | vgg\\|d | 3 |
    """
    rules = ["--:" if column == "r" else "---" for column in right.ljust(len(header))]
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(rules) + "|"]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: object) -> str:
    """A value in a table: one line, pipes escaped, a count with commas, None as a dash."""
    text = "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return plain(text).replace("|", "\\|")


def plain(text: str) -> str:
    """One line in which nothing is read as markup but what stands between backticks."""
    parts = " ".join(text.split()).split("`")
    for i in range(0, len(parts), 2):
        for letter in ("\\", "*", "_", "<", "$", "["):
            parts[i] = parts[i].replace(letter, f"\\{letter}")
    return "`".join(parts)


def folded(summary: str, body: str) -> str:
    """A body that opens when its summary is pressed."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def page(*parts: str) -> str:
    """The parts with an empty line between them; empty parts are left out."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"
