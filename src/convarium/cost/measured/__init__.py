"""What networks cost while they run: seconds, memory, energy, operator by operator."""
