"""Writes the pages that carry facts: `python docs/generate`; `--check` names the stale ones.

A page in this folder's output is never edited by hand: prose is in docs/families/prose.
"""

from __future__ import annotations

import sys
from pathlib import Path

from families import families
from recipes import recipes
from verbs import verbs
from zoo import zoo

DOCS = Path(__file__).parent.parent


def main(words: list[str]) -> int:
    """Writes, or with --check compares; 1 when a page is not what would be written."""
    pages = {**families(), **zoo(), **verbs(), **recipes()}
    stale = [name for name, text in pages.items() if _text(DOCS / name) != text]
    drawn = {str(path.relative_to(DOCS)) for path in DOCS.glob("families/svg/*.svg")}
    left_over = sorted(drawn - set(pages))
    if "--check" in words:
        print("\n".join([*stale, *left_over]) or f"{len(pages)} pages and drawings are fresh")
        return 1 if stale or left_over else 0
    for name in stale:
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(pages[name], "utf-8")
    for name in left_over:
        (DOCS / name).unlink()
    print(f"{len(stale)} of {len(pages)} pages and drawings written")
    return 0


def _text(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
