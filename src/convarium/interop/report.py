"""What loading did: a small value to print or to keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What came from the file and what did not.

    `kept` are layers that keep the values they had, each with the reason; `notes` say what else a
    reader of the numbers must know: an epsilon carried over, the order of colours, heads left out.
    """

    source: str
    loaded: tuple[str, ...]
    kept: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            "source": self.source,
            "loaded": list(self.loaded),
            "kept": [{"layer": layer, "reason": reason} for layer, reason in self.kept],
            "notes": list(self.notes),
        }
