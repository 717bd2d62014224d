"""Facts against rows -> verdicts; rows against rows -> differences between two networks."""
