"""What `verify` says of one fact of one network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Word = Literal["AGREES", "DIFFERS", "SILENT"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One fact held against one network.

    `printed` is what the source says, in its own words or, for a row, in the table's; None where
    it says nothing. `ours` is the count of our network in the same unit. `reason` says why the two
    differ, or why nothing is said; a DIFFERS without one is an error of the network or of a fact.
    `confidence` is "sourced" or "memory" (recalled, not read), "counted" for the ledger's counts.
    """

    model: str
    fact: str
    printed: str | None
    ours: float | str | None
    verdict: Word
    reason: str | None
    where: str
    confidence: str

    @property
    def is_unexplained(self) -> bool:
        """True for a difference that nobody has a reason for."""
        return self.verdict == "DIFFERS" and not self.reason

    @property
    def is_row(self) -> bool:
        """True for a row of a paper's table, false for a number."""
        return self.fact.startswith("row ")

    @property
    def is_recalled(self) -> bool:
        """True for a number from memory, which is marked wherever it is shown."""
        return self.confidence == "memory"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the command line prints them with --json."""
        return asdict(self)


def number(ours: float | str | None) -> str:
    """A count as a reader sees it.

    >>> number(138357544), number(8.71111), number(None)
    ('138,357,544', '8.71111', '-')
    """
    if ours is None:
        return "-"
    return ours if isinstance(ours, str) else f"{ours:,}"


def tidy(count: float) -> float:
    """A count as it is shown: whole where it is whole, else to six digits.

    >>> tidy(3.0), tidy(8.711111111)
    (3, 8.71111)
    """
    return int(count) if count == int(count) else float(f"{count:.6g}")
