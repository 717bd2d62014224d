"""Many networks, one data set: train, evaluate, time, record. `race.py` runs it."""
