"""Plain text for people: aligned columns, short numbers, bold where a terminal shows it.

`list` and `show` must answer at once; rich would take longer to import than they take to run.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from convarium.cost.words import shape, short

__all__ = ["bold", "cells_of", "colours", "columns", "paragraph", "shape", "short", "width"]
WIDTH_AT_MOST = 110


def columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = "", indent: int = 0
) -> str:
    """Rows under their header, aligned.

    Args:
        header: the columns' names; empty for none.
        rows: the cells.
        right: a letter a column, "r" for one that is aligned right; short ones mean left.
        indent: spaces before every line.
    """
    lines = [header, *rows] if header else list(rows)
    if not lines:
        return ""
    widths = [max(map(cells_of, column)) for column in zip(*lines, strict=True)]
    aligned = []
    for line in lines:
        cells = []
        for at, (cell, width) in enumerate(zip(line, widths, strict=True)):
            blank = " " * (width - cells_of(cell))
            cells.append(blank + cell if right[at : at + 1] == "r" else cell + blank)
        aligned.append(" " * indent + "  ".join(cells).rstrip())
    if header:
        aligned[0] = bold(aligned[0])
    return "\n".join(aligned)


def cells_of(text: str) -> int:
    """How many letters wide a terminal shows it: CJK letters take two, combining marks none.

    >>> cells_of("fire9"), cells_of("\u65e5\u672c")
    (5, 4)
    """
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def paragraph(text: str, *, indent: int = 2, hang: int = 2) -> str:
    """One text wrapped to the terminal, further lines `hang` deeper."""
    start = " " * indent
    return textwrap.fill(
        text,
        width(),
        initial_indent=start,
        subsequent_indent=start + " " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def bold(text: str) -> str:
    """The text as a terminal writes it bold; as it is for a file, a pipe or under NO_COLOR."""
    return f"\x1b[1m{text}\x1b[0m" if colours() else text


def colours() -> bool:
    """True when stdout is a terminal that shows them and NO_COLOR is unset or empty."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def width() -> int:
    """Columns to write in: the terminal's, and never so many that lines are hard to follow."""
    return min(shutil.get_terminal_size((100, 24)).columns, WIDTH_AT_MOST)
