"""Writes verdicts.json beside this file: what `verify` says of each fact of each network.

Run it from the repository's root when a network or a fact was changed on purpose, and read the
difference before committing it: python tests/verify/golden/make.py
"""

from __future__ import annotations

import json
from pathlib import Path

from convarium import catalog
from convarium.verify.engine import verify

GOLDEN = Path(__file__).with_name("verdicts.json")


def verdicts_now() -> dict[str, dict[str, str]]:
    """The word for each fact by network; agreeing rows of a table are counted, not listed."""
    return {name: _words(name) for name in catalog.CATALOG}


def _words(name: str) -> dict[str, str]:
    verdicts = verify(name)
    rows = sum(v.is_row and v.verdict == "AGREES" for v in verdicts)
    listed = {v.fact: v.verdict for v in verdicts if not (v.is_row and v.verdict == "AGREES")}
    return {**listed, "rows that agree": str(rows)}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(verdicts_now(), indent=1) + "\n", "utf-8")
