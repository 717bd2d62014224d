"""What was run and what came out: SQLite, and one JSON log a run. No torch here."""

from convarium.records.database import Database, rebuild
from convarium.records.events import read_events
from convarium.records.log import RunLog, note_end, share
from convarium.records.model import EpochPoint, Mistake, Race, Result
from convarium.records.overview import Record, overview, select

__all__ = [
    "Database",
    "EpochPoint",
    "Mistake",
    "Race",
    "Record",
    "Result",
    "RunLog",
    "note_end",
    "overview",
    "read_events",
    "rebuild",
    "select",
    "share",
]
