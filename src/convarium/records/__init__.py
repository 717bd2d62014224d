"""What was run and what came out: SQLite, and one JSON log a run. No torch here."""
